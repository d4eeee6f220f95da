import Foundation

/// A picture: rows from the top, `channels` bytes a pixel (grey, RGB or RGBA).
public struct Pixels {
    public let width: Int
    public let height: Int
    public let channels: Int
    public let data: [UInt8]

    public init(width: Int, height: Int, channels: Int, data: [UInt8]) {
        self.width = width
        self.height = height
        self.channels = channels
        self.data = data
    }

    func at(_ x: Int, _ y: Int, _ channel: Int) -> Int { Int(data[(y * width + x) * channels + channel]) }
}

/// Part of a picture: left, top, right, bottom in its pixels.
struct Part {
    let left: Float
    let top: Float
    let right: Float
    let bottom: Float
}

private let bits = 22

/// What each pixel of one axis is a sum of: from `start` on, `weights` in units of 2^-22.
private struct Weights {
    let start: [Int]
    let weights: [[Int]]
}

private struct Kernel {
    let support: Double
    let weight: (Double) -> Double
}

private func kernel(_ filter: Filter) -> Kernel {
    switch filter {
    case .bilinear: return Kernel(support: 1) { max(0, 1 - abs($0)) }
    case .bicubic: return Kernel(support: 2) { cubic(abs($0)) }
    default: return Kernel(support: 3) { $0 >= -3 && $0 < 3 ? sinc($0) * sinc($0 / 3) : 0 }
    }
}

private func cubic(_ x: Double) -> Double {
    if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
    if x < 2 { return (((x - 5) * x + 8) * x - 4) * -0.5 }
    return 0
}

private func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(x * Double.pi) / (x * Double.pi) }

private func weights(_ size: Int, _ from: Float, _ to: Float, _ wanted: Int, _ kernel: Kernel) -> Weights {
    let scale = Double(to - from) / Double(wanted)
    let stretch = max(scale, 1)
    let support = kernel.support * stretch
    var start: [Int] = []
    var found: [[Int]] = []
    for index in 0..<wanted {
        let center = Double(from) + (Double(index) + 0.5) * scale
        let first = max(0, Int(center - support + 0.5))
        let last = min(size, Int(center + support + 0.5))
        let shares = (first..<last).map { kernel.weight((Double($0) - center + 0.5) * (1 / stretch)) }
        let sum = shares.reduce(0, +)
        start.append(first)
        found.append(
            shares.map { item in
                let share = sum != 0 ? item / sum : item
                return Int(share * Double(1 << bits) + (share < 0 ? -0.5 : 0.5))
            })
    }
    return Weights(start: start, weights: found)
}

private func byte(_ sum: Int) -> UInt8 { UInt8(min(max(sum >> bits, 0), 255)) }

/// Brings part of a picture to a size, as Pillow does: a pixel is the weighted mean of all that it covers,
/// first along rows and then along columns, in integers.
func resized(_ source: Pixels, _ part: Part, _ width: Int, _ height: Int, _ filter: Filter) -> Pixels {
    if filter == .nearest { return nearest(source, part, width, height) }
    let across = weights(source.width, part.left, part.right, width, kernel(filter))
    let down = weights(source.height, part.top, part.bottom, height, kernel(filter))
    let top = down.start[0]
    let rows = down.start[height - 1] + down.weights[height - 1].count - top
    let n = source.channels
    var between = [UInt8](repeating: 0, count: rows * width * n)
    for y in 0..<rows {
        for x in 0..<width {
            for c in 0..<n {
                var at = ((y + top) * source.width + across.start[x]) * n + c
                var sum = 1 << (bits - 1)
                for weight in across.weights[x] {
                    sum += Int(source.data[at]) * weight
                    at += n
                }
                between[(y * width + x) * n + c] = byte(sum)
            }
        }
    }
    var found = [UInt8](repeating: 0, count: height * width * n)
    for y in 0..<height {
        for x in 0..<(width * n) {
            var at = (down.start[y] - top) * width * n + x
            var sum = 1 << (bits - 1)
            for weight in down.weights[y] {
                sum += Int(between[at]) * weight
                at += width * n
            }
            found[y * width * n + x] = byte(sum)
        }
    }
    return Pixels(width: width, height: height, channels: n, data: found)
}

private func nearest(_ source: Pixels, _ part: Part, _ width: Int, _ height: Int) -> Pixels {
    let n = source.channels
    let across = (Double(part.right) - Double(part.left)) / Double(width)
    let down = (Double(part.bottom) - Double(part.top)) / Double(height)
    var found = [UInt8](repeating: 0, count: width * height * n)
    for y in 0..<height {
        for x in 0..<width {
            let column = min(max(Int(Double(part.left) + (Double(x) + 0.5) * across), 0), source.width - 1)
            let row = min(max(Int(Double(part.top) + (Double(y) + 0.5) * down), 0), source.height - 1)
            for c in 0..<n { found[(y * width + x) * n + c] = UInt8(source.at(column, row, c)) }
        }
    }
    return Pixels(width: width, height: height, channels: n, data: found)
}
