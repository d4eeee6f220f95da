import Foundation

/// What came of the stored examples: the largest difference of an output, in units of what is allowed, and
/// where it was.
public struct Verdict {
    public let examples: Int
    public let worst: Double
    public let output: String
    public let milliseconds: Double

    public var correct: Bool { examples > 0 && worst <= 1 }

    public var words: String {
        if correct {
            let most = String(format: "%.0f", 100 * worst)
            return "correct on this device: \(examples) examples, the largest difference is \(most) % of what is allowed"
        }
        let times = String(format: "%.3g", worst)
        return "wrong on this device: output \(output) is off by \(times) times what is allowed"
    }
}

/// Runs the stored examples and compares the answers with those of LiteRT on the machine where this was made.
///
/// A model that remembers something is opened anew for every example.
public func selfTest(
    _ plan: Plan, _ files: Files, _ allowed: [Double], _ open: () throws -> any Runner
) throws -> Verdict {
    var worst = 0.0
    var output = plan.outputs.first?.name ?? ""
    var least = Double.infinity
    var runner = try open()
    for number in plan.examples.indices {
        if number > 0 && plan.keepsState { runner = try open() }
        let inputs = try plan.inputs.enumerated().map { try stored(plan, files, "\(number)_in_\($0)", $1.type) }
        let begin = DispatchTime.now().uptimeNanoseconds
        let found = try runner.run(inputs)
        least = min(least, Double(DispatchTime.now().uptimeNanoseconds - begin) / 1e6)
        for (i, port) in plan.outputs.enumerated() {
            let off = difference(found[i], try stored(plan, files, "\(number)_out_\(i)", port.type)) / allowed[i]
            if off > worst || off.isNaN {
                worst = off.isNaN ? .infinity : off
                output = port.name
            }
        }
    }
    return Verdict(examples: plan.examples.count, worst: worst, output: output, milliseconds: least)
}
