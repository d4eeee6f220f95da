import Foundation

/// An input or output: `dims` hold -1 where any size will do; `scale` is 0 where integers mean themselves.
public struct Port: Sendable {
    public let name: String
    public let type: ElementType
    public let dims: [Int]
    public let scale: Double
    public let zeroPoint: Int
}

/// How a picture becomes the model's input.
///
/// `height` and `width` are -1 where the model takes any size. What a pixel of 0..255 becomes is looked up in
/// the table (a file of Assets) in which mean, standard deviation and quantization have been worked in.
public struct PictureInput: Sendable {
    public let input: Int
    public let height: Int
    public let width: Int
    public let channels: Int
    public let channelsFirst: Bool
    public let heightAxis: Int
    public let resize: Resize
    public let central: Double
    public let filter: Filter
    public let fill: Int
    public let grey: Bool
    public let bgr: Bool
    public let invert: Bool
    public let table: String
}

public enum Resize: Sendable { case stretch, letterbox, crop, keep }

public enum Filter: Sendable { case bilinear, bicubic, nearest, lanczos }

/// What the outputs mean.
public protocol Meaning: Sendable {}

public struct Classify: Meaning {
    public let output: Int
    public let scores: Scores
    public let top: Int
    public let least: Double
}

public enum Scores: Sendable { case auto, probabilities, logits, independent }

public struct Segment: Meaning {
    public let output: Int
    public let kind: MaskKind
    public let classesFirst: Bool
    public let cut: Double
    public let background: Int
    public let least: Double
}

public enum MaskKind: Sendable { case probability, logit, classes, map }

public struct Detect: Meaning {
    public let format: BoxFormat
    public let boxes: Int
    public let scores: Int
    public let classes: Int
    public let count: Int
    public let exponential: Bool
    public let logits: Bool
    public let background: Bool
    public let objectness: Bool
    public let transposed: Bool
    public let pixels: Bool?
    public let score: Double
    public let most: Int
    public let anchors: String
}

public enum BoxFormat: Sendable { case listed, anchors, grid }

public struct Landmarks: Meaning {
    public let output: Int
    public let perPoint: Int
    public let yFirst: Bool
    public let shares: Bool?
    public let confidence: Int
    public let presence: Int
    public let score: Double
    public let shown: Int
    public let thing: String
    public let chains: [[Int]]
    public let names: [Int: String]
}

/// Outputs that are shown as numbers.
public struct Numbers: Meaning {
    public let first: Int
}

/// Which part of a picture the model sees: around what the detector finds.
public struct Crop: Sendable {
    public let scale: Double
    public let square: Bool
    public let level: [Int]
    public let upright: Bool
    public let around: [Int]
    public let shiftX: Double
    public let shiftY: Double
    public let score: Double
    public let most: Int
}

/// All that is known of a model. Assets are named after it.
public struct Plan: Sendable {
    public let file: String
    public let inputs: [Port]
    public let outputs: [Port]
    public let picture: PictureInput?
    public let task: any Meaning
    public let labels: String
    public let keepsState: Bool
    public let examples: [String]
    public let tolerance: [Double]
    public let gpuTolerance: [Double]
    public let signatureInputs: [Int]
    public let signatureOutputs: [Int]
}

/// The files that lie beside the model.
public struct Files: Sendable {
    private let folder: URL

    /// Those of this package.
    public init() {
        let bundle = Bundle.module
        self.init(folder: (bundle.resourceURL ?? bundle.bundleURL).appendingPathComponent("Assets"))
    }

    public init(folder: URL) {
        self.folder = folder
    }

    public func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    /// The content of a file, nil where there is none.
    public func read(_ name: String) -> [UInt8]? {
        (try? Data(contentsOf: folder.appendingPathComponent(name))).map { [UInt8]($0) }
    }

    public func need(_ name: String) throws -> [UInt8] {
        guard let found = read(name) else { throw DeployedError.said("the file \(name) is missing") }
        return found
    }
}

/// Something that runs the model: stored arrays in the order of its inputs to those of its outputs.
public protocol Runner: AnyObject {
    var name: String { get }

    func run(_ inputs: [Tensor]) throws -> [Tensor]
}
