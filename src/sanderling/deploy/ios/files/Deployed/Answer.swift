import Foundation

/// A class and how sure the model is of it.
public struct Named {
    public let number: Int
    public let label: String
    public let score: Double
}

/// A place in the picture; points that the model does not see lie anywhere.
public struct Point {
    public let x: Double
    public let y: Double
    public let seen: Bool
}

/// An object: its place in pixels of the picture.
public struct Box {
    public let left, top, right, bottom, score: Double
    public let number: Int
    public let label: String
    public let points: [Point]
}

/// The class of each part of the input, rows from the top; it covers the whole input.
public struct Mask {
    public let width: Int
    public let height: Int
    public let classes: [Int]
    public let background: Int
}

/// What the model says of a picture.
public struct Answer {
    public var lines: [String]
    public var classes: [Named] = []
    public var boxes: [Box] = []
    public var points: [Point] = []
    public var chains: [[Int]] = []
    public var mask: Mask?
    public var placement: Placement?
}

public func share(_ value: Double) -> String {
    let percent = 100 * value
    return String(format: percent < 10 ? "%.1f %%" : "%.0f %%", percent)
}

func named(_ labels: [String], _ number: Int) -> String {
    labels.indices.contains(number) && !labels[number].isEmpty ? labels[number] : "class \(number)"
}

func labels(_ plan: Plan, _ files: Files) throws -> [String] {
    if plan.labels.isEmpty { return [] }
    let text = String(decoding: try files.need(plan.labels), as: UTF8.self)
    return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
}

/// Reads the outputs of one run.
func answer(_ plan: Plan, _ outputs: [Tensor], _ fed: Fed?, _ picture: Pixels?, _ files: Files) throws -> Answer {
    let names = try labels(plan, files)
    switch plan.task {
    case let task as Classify: return classified(task, plan, outputs, names)
    case let task as Segment: return try segmented(task, plan, outputs, fed, picture, names)
    case let task as Detect: return try detected(task, plan, outputs, fed, picture, names, files)
    case let task as Landmarks: return marked(task, plan, outputs, fed)
    case let task as Numbers:
        return Answer(lines: zip(plan.outputs, outputs).map { numbers(task, $0, $1) })
    default: throw DeployedError.said("nobody knows how to read these outputs")
    }
}

private func numbers(_ task: Numbers, _ port: Port, _ output: Tensor) -> String {
    let values = output.real(port)
    let first = values.prefix(task.first).map { String(format: "%.4g", $0) }.joined(separator: "  ")
    let shape = output.dims.map(String.init).joined(separator: "×")
    return "\(port.name) [\(shape)]  \(first)" + (values.count > task.first ? "  …" : "")
}
