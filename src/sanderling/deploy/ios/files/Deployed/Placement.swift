import Foundation

/// Where the input's pixels lie in the picture: x = a·column + b·row + c, y = d·column + e·row + f, counted
/// from the corners of pixels.
public struct Placement {
    public let a, b, c, d, e, f: Double
    public let width: Int
    public let height: Int

    public func x(_ column: Double, _ row: Double) -> Double { a * column + b * row + c }

    public func y(_ column: Double, _ row: Double) -> Double { d * column + e * row + f }

    /// This place in a picture of which the one that it was in is a part, placed like `outer`.
    func within(_ outer: Placement) -> Placement {
        Placement(
            a: outer.a * a + outer.b * d, b: outer.a * b + outer.b * e, c: outer.x(c, f),
            d: outer.d * a + outer.e * d, e: outer.d * b + outer.e * e, f: outer.y(c, f),
            width: width, height: height)
    }

    /// The upright box in the picture around one in the input's pixels, cut at the picture's borders.
    func box(_ corners: [Double], in picture: Pixels) -> [Double] {
        let ends = [(0, 1), (2, 1), (2, 3), (0, 3)].map { (corners[$0.0], corners[$0.1]) }
        let xs = ends.map { x($0.0, $0.1) }
        let ys = ends.map { y($0.0, $0.1) }
        let right = Double(picture.width)
        let bottom = Double(picture.height)
        return [
            min(max(xs.min() ?? 0, 0), right), min(max(ys.min() ?? 0, 0), bottom),
            min(max(xs.max() ?? 0, 0), right), min(max(ys.max() ?? 0, 0), bottom),
        ]
    }

    /// Cuts the input's part out of the picture, black beyond its borders.
    func cut(_ picture: Pixels) -> Pixels {
        let factor = max(1, Int(abs(a * e - b * d).squareRoot()))  // single pixels are looked at: first averaged
        let small = factor > 1 ? reduced(picture, factor) : picture
        let by = Double(factor)
        let n = small.channels
        var found = [UInt8](repeating: 0, count: width * height * n)
        for row in 0..<height {
            for column in 0..<width {
                let (u, v) = (Double(column) + 0.5, Double(row) + 0.5)
                let x = a / by * u + b / by * v + c / by
                let y = d / by * u + e / by * v + f / by
                if x < 0 || y < 0 || x >= Double(small.width) || y >= Double(small.height) { continue }
                for channel in 0..<n { found[(row * width + column) * n + channel] = between(small, x, y, channel) }
            }
        }
        return Pixels(width: width, height: height, channels: n, data: found)
    }
}

private func between(_ source: Pixels, _ x: Double, _ y: Double, _ channel: Int) -> UInt8 {
    let left = (x - 0.5).rounded(.down)
    let top = (y - 0.5).rounded(.down)
    let x0 = min(max(Int(left), 0), source.width - 1)
    let x1 = min(max(Int(left) + 1, 0), source.width - 1)
    let y0 = min(max(Int(top), 0), source.height - 1)
    let y1 = min(max(Int(top) + 1, 0), source.height - 1)
    let dx = x - 0.5 - left
    let dy = y - 0.5 - top
    let upper = mix(source.at(x0, y0, channel), source.at(x1, y0, channel), dx)
    let lower = mix(source.at(x0, y1, channel), source.at(x1, y1, channel), dx)
    return UInt8(upper + (lower - upper) * dy)
}

private func mix(_ from: Int, _ to: Int, _ share: Double) -> Double { Double(from) + Double(to - from) * share }

/// Means of squares of `factor` × `factor` pixels; the last ones of a row or column may be of fewer.
func reduced(_ source: Pixels, _ factor: Int) -> Pixels {
    let width = (source.width + factor - 1) / factor
    let height = (source.height + factor - 1) / factor
    let n = source.channels
    var found = [UInt8](repeating: 0, count: width * height * n)
    for row in 0..<height {
        for column in 0..<width {
            let right = min(source.width, (column + 1) * factor)
            let bottom = min(source.height, (row + 1) * factor)
            let count = (right - column * factor) * (bottom - row * factor)
            let inverse = Int(Float(4_294_967_296) / Float(256 * count))
            for channel in 0..<n {
                var sum = 0
                for y in (row * factor)..<bottom {
                    for x in (column * factor)..<right { sum += source.at(x, y, channel) }
                }
                found[(row * width + column) * n + channel] = UInt8(((sum + count / 2) * inverse) >> 24)
            }
        }
    }
    return Pixels(width: width, height: height, channels: n, data: found)
}
