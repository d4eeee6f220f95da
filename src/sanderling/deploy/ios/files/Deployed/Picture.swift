import CoreGraphics
import Foundation
import ImageIO

/// The longest side at which pictures are looked at and drawn on.
private let mostSide = 2048

/// Opens a picture upright; what is very large is made smaller.
public func opened(_ data: Data) throws -> CGImage {
    let options: [CFString: Any] = [
        kCGImageSourceCreateThumbnailFromImageAlways: true,
        kCGImageSourceCreateThumbnailWithTransform: true,
        kCGImageSourceThumbnailMaxPixelSize: mostSide,
    ]
    guard let source = CGImageSourceCreateWithData(data as CFData, nil),
        let image = CGImageSourceCreateThumbnailAtIndex(source, 0, options as CFDictionary)
    else { throw DeployedError.said("this is no picture") }
    return image
}

/// Red, green and blue of every pixel in sRGB; what is transparent shows white.
public func pixels(_ image: CGImage) throws -> Pixels {
    let width = image.width
    let height = image.height
    var drawn = [UInt8](repeating: 255, count: 4 * width * height)
    try drawn.withUnsafeMutableBytes { memory in
        guard let space = CGColorSpace(name: CGColorSpace.sRGB),
            let context = CGContext(
                data: memory.baseAddress, width: width, height: height, bitsPerComponent: 8,
                bytesPerRow: 4 * width, space: space, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
        else { throw DeployedError.said("the picture cannot be drawn") }
        let all = CGRect(x: 0, y: 0, width: width, height: height)
        context.setFillColor(CGColor(srgbRed: 1, green: 1, blue: 1, alpha: 1))
        context.fill(all)
        context.draw(image, in: all)
    }
    var data = [UInt8](repeating: 0, count: 3 * width * height)
    for pixel in 0..<(width * height) {
        for channel in 0..<3 { data[3 * pixel + channel] = drawn[4 * pixel + channel] }
    }
    return Pixels(width: width, height: height, channels: 3, data: data)
}

private func colour(_ number: Int, alpha: Double = 1) -> CGColor {
    let turn = (Double(number) * 137.5 + 210).truncatingRemainder(dividingBy: 360) / 60
    let shades = [5.0, 3.0, 1.0].map { offset -> Double in
        let k = (offset + turn).truncatingRemainder(dividingBy: 6)
        return 0.95 * (1 - 0.75 * max(0, min(k, 4 - k, 1)))
    }
    return CGColor(srgbRed: shades[0], green: shades[1], blue: shades[2], alpha: alpha)
}

/// A copy of a picture with the answers drawn on it.
public func drawn(_ image: CGImage, _ answers: [Answer]) throws -> CGImage {
    let all = CGRect(x: 0, y: 0, width: image.width, height: image.height)
    guard let space = CGColorSpace(name: CGColorSpace.sRGB),
        let context = CGContext(
            data: nil, width: image.width, height: image.height, bitsPerComponent: 8, bytesPerRow: 0, space: space,
            bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue)
    else { throw DeployedError.said("the picture cannot be drawn") }
    context.draw(image, in: all)
    context.translateBy(x: 0, y: all.height)  // from here on y counts from the top
    context.scaleBy(x: 1, y: -1)
    let line = max(2, max(all.width, all.height) / 250)
    for answer in answers {
        if let mask = answer.mask, let place = answer.placement { draw(context, mask, place) }
        for box in answer.boxes { draw(context, box, line) }
        draw(context, answer, line)
    }
    guard let found = context.makeImage() else { throw DeployedError.said("the picture cannot be drawn") }
    return found
}

private func draw(_ context: CGContext, _ mask: Mask, _ place: Placement) {
    context.saveGState()
    let across = Double(place.width) / Double(mask.width)
    let down = Double(place.height) / Double(mask.height)
    context.concatenate(
        CGAffineTransform(
            a: place.a * across, b: place.d * across, c: place.b * down, d: place.e * down, tx: place.c, ty: place.f))
    for y in 0..<mask.height {
        var x = 0
        while x < mask.width {
            let number = mask.classes[y * mask.width + x]
            var end = x + 1
            while end < mask.width && mask.classes[y * mask.width + end] == number { end += 1 }
            if number != mask.background {
                context.setFillColor(colour(number, alpha: 0.5))
                context.fill(CGRect(x: x, y: y, width: end - x, height: 1))
            }
            x = end
        }
    }
    context.restoreGState()
}

private func draw(_ context: CGContext, _ box: Box, _ line: Double) {
    context.setStrokeColor(colour(box.number))
    context.setFillColor(colour(box.number))
    context.setLineWidth(line)
    context.stroke(CGRect(x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top))
    for point in box.points { dot(context, point, 1.5 * line) }
}

private func draw(_ context: CGContext, _ answer: Answer, _ line: Double) {
    context.setLineWidth(line / 2)
    for (number, chain) in answer.chains.enumerated() {
        context.setStrokeColor(colour(number))
        for (first, second) in zip(chain, chain.dropFirst()) {
            let from = answer.points[first]
            let to = answer.points[second]
            if !from.seen || !to.seen { continue }
            context.move(to: CGPoint(x: from.x, y: from.y))
            context.addLine(to: CGPoint(x: to.x, y: to.y))
            context.strokePath()
        }
    }
    context.setFillColor(colour(0))
    for point in answer.points where point.seen { dot(context, point, answer.points.count > 100 ? line / 2 : line) }
}

private func dot(_ context: CGContext, _ point: Point, _ radius: Double) {
    context.fillEllipse(
        in: CGRect(x: point.x - radius, y: point.y - radius, width: 2 * radius, height: 2 * radius))
}
