import Foundation

/// A model with what is known of it; with a detector that finds what it is to see, where it has one.
public final class Session {
    private let plan: Plan
    private let files: Files
    private let runner: any Runner
    private let detector: Session?
    private let crop: Crop?

    /// The time of the last call of the model, in milliseconds.
    public private(set) var milliseconds = 0.0

    public init(
        plan: Plan, files: Files, runner: any Runner, detector: Session? = nil, crop: Crop? = nil
    ) {
        self.plan = plan
        self.files = files
        self.runner = runner
        self.detector = detector
        self.crop = crop
    }

    /// Answers a picture: once, or for every part that the detector finds in it.
    public func look(_ picture: Pixels) throws -> [Answer] {
        milliseconds = 0
        guard let detector, let crop, let how = plan.picture else { return [try look(picture, nil, picture)] }
        let colours = coloured(picture, 3)
        let boxes = try detector.look(colours).first?.boxes ?? []
        milliseconds += detector.milliseconds
        return try crops(boxes, crop, how.width, how.height).map { try look($0.cut(colours), $0, picture) }
    }

    private func look(_ part: Pixels, _ outer: Placement?, _ whole: Pixels) throws -> Answer {
        let inner = try feed(part, plan, files)
        let place = outer.map { inner.placement.within($0) } ?? inner.placement
        let fed = Fed(tensor: inner.tensor, placement: place)
        let inputs = try plan.inputs.enumerated().map { position, port in
            try position == plan.picture?.input ? fed.tensor : stored(plan, files, "0_in_\(position)", port.type)
        }
        let begin = DispatchTime.now().uptimeNanoseconds
        let outputs = try runner.run(inputs)
        milliseconds += Double(DispatchTime.now().uptimeNanoseconds - begin) / 1e6
        return try answer(plan, outputs, fed, whole, files)
    }
}

func stored(_ plan: Plan, _ files: Files, _ name: String, _ type: ElementType) throws -> Tensor {
    Tensor(file: try files.need("\(plan.file)/\(name).bin"), type: type)
}
