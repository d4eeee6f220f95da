import Foundation
import LiteRT

/// LiteRT, on the CPU or on the GPU (Metal).
public final class LiteRtRunner: Runner {
    public let name: String
    private let plan: Plan
    private let model: CompiledModel
    private let inputs: [TensorBuffer]
    private let outputs: [TensorBuffer]

    /// Opens the model for the GPU alone or for the CPU alone, or fails: what runs where is never a guess.
    public init(plan: Plan, files: Files, gpu: Bool) throws {
        self.plan = plan
        name = gpu ? "GPU" : "CPU"
        let options = try Options()
        try options.setHardwareAccelerators(gpu ? [.gpu] : [.cpu])
        model = try CompiledModel(
            filePath: files.path("\(plan.file).tflite"), environment: try Environment(), options: options)
        inputs = try model.createInputBuffers()
        outputs = try model.createOutputBuffers()
    }

    public func run(_ inputs: [Tensor]) throws -> [Tensor] {
        for (place, position) in plan.signatureInputs.enumerated() {
            try self.inputs[place].write(inputs[position].data)
        }
        try model.run(inputs: self.inputs, outputs: outputs)
        var found: [Int: Tensor] = [:]
        for (place, position) in plan.signatureOutputs.enumerated() {
            let port = plan.outputs[position]
            let data: [UInt8] = try outputs[place].read()
            found[position] = Tensor(type: port.type, dims: port.dims, data: data)
        }
        return try plan.outputs.indices.map { position in
            guard let tensor = found[position] else { throw DeployedError.said("output \(position) is missing") }
            return tensor
        }
    }
}

/// What runs a model on this device, and why.
public struct Chosen {
    public let runner: any Runner
    public let verdict: Verdict
    public let words: [String]
}

/// Tries the stored examples on the CPU and on the GPU. The GPU is used where it answers right and is faster;
/// where it is not used the words say why.
public func choose(_ plan: Plan, _ files: Files) throws -> Chosen {
    let cpu = { try LiteRtRunner(plan: plan, files: files, gpu: false) as any Runner }
    let gpu = { try LiteRtRunner(plan: plan, files: files, gpu: true) as any Runner }
    let onCpu = try selfTest(plan, files, plan.tolerance, cpu)
    var words = ["CPU: \(onCpu.words) (\(time(onCpu)))"]
    if plan.keepsState {
        words.append("GPU: not used, since the model remembers something from one run to the next")
        return Chosen(runner: try cpu(), verdict: onCpu, words: words)
    }
    do {
        let onGpu = try selfTest(plan, files, plan.gpuTolerance, gpu)
        words.append("GPU: \(onGpu.words) (\(time(onGpu)))")
        let better = onGpu.correct && (onGpu.milliseconds < onCpu.milliseconds || !onCpu.correct)
        words.append("used here: \(better ? "GPU" : "CPU")")
        if better { return Chosen(runner: try gpu(), verdict: onGpu, words: words) }
    } catch {
        words.append("GPU: not used, since LiteRT says: \(error)")
    }
    return Chosen(runner: try cpu(), verdict: onCpu, words: words)
}

private func time(_ verdict: Verdict) -> String { String(format: "%.1f ms", verdict.milliseconds) }
