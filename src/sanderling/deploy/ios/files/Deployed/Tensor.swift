import Foundation

/// Types of elements as LiteRT stores them.
public enum ElementType: Sendable {
    case float32, int8, uint8, int16, int32, int64, bool

    public var bytes: Int {
        switch self {
        case .float32, .int32: return 4
        case .int8, .uint8, .bool: return 1
        case .int16: return 2
        case .int64: return 8
        }
    }

    public var isFloat: Bool { self == .float32 }
}

public enum DeployedError: LocalizedError {
    case said(String)

    public var errorDescription: String? {
        switch self {
        case .said(let words): return words
        }
    }
}

/// An array as the model stores it: little-endian, the last axis varies fastest.
public struct Tensor {
    public let type: ElementType
    public let dims: [Int]
    public let data: [UInt8]

    public init(type: ElementType, dims: [Int], data: [UInt8]) {
        self.type = type
        self.dims = dims
        self.data = data
    }

    /// A file of Assets: the number of axes, their sizes (32-bit integers), the elements.
    public init(file: [UInt8], type: ElementType) {
        let rank = integer(file, 0)
        self.type = type
        dims = (0..<rank).map { integer(file, 4 * ($0 + 1)) }
        data = Array(file[(4 * (rank + 1))...])
    }

    public var size: Int { data.count / type.bytes }

    /// The stored number at a position.
    public func at(_ index: Int) -> Double {
        data.withUnsafeBytes { bytes -> Double in
            switch type {
            case .float32: return Double(bytes.loadUnaligned(fromByteOffset: 4 * index, as: Float.self))
            case .int8: return Double(Int8(bitPattern: bytes[index]))
            case .uint8, .bool: return Double(bytes[index])
            case .int16: return Double(bytes.loadUnaligned(fromByteOffset: 2 * index, as: Int16.self))
            case .int32: return Double(bytes.loadUnaligned(fromByteOffset: 4 * index, as: Int32.self))
            case .int64: return Double(bytes.loadUnaligned(fromByteOffset: 8 * index, as: Int64.self))
            }
        }
    }

    /// What the stored numbers mean; NaN counts as zero, and nothing lies beyond ±1e12.
    public func real(_ port: Port) -> [Double] {
        (0..<size).map { index in
            let stored = at(index)
            var value = stored
            if port.scale != 0 && !type.isFloat {
                value = Double(Float(stored - Double(port.zeroPoint)) * Float(port.scale))
            }
            return value.isNaN ? 0 : min(max(value, -1e12), 1e12)
        }
    }
}

private func integer(_ data: [UInt8], _ offset: Int) -> Int {
    data.withUnsafeBytes { Int($0.loadUnaligned(fromByteOffset: offset, as: Int32.self)) }
}

/// The largest difference of two values: in steps for integers, as a share of the largest right value for
/// floats; infinity where there are more or fewer, or only one of the two is a number.
public func difference(_ mine: Tensor, _ wanted: Tensor) -> Double {
    if mine.size != wanted.size { return .infinity }
    var off = 0.0
    var largest = 0.0
    for index in 0..<wanted.size {
        let a = mine.at(index)
        let b = wanted.at(index)
        if a.isFinite && b.isFinite {
            off = max(off, abs(a - b))
            largest = max(largest, abs(b))
        } else if a != b && !(a.isNaN && b.isNaN) {
            return .infinity
        }
    }
    if !wanted.type.isFloat || off == 0 { return off }
    return largest > 0 ? off / largest : .infinity
}
