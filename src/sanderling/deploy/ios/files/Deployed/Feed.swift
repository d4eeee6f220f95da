import Foundation

/// A picture as the model takes it, and where it lies in the one that was given.
struct Fed {
    let tensor: Tensor
    let placement: Placement
}

private let anySide = 224
private let step = 32
private let most = 2048

/// The nearest whole number, of two the even one.
private func even(_ value: Double) -> Int { Int(value.rounded(.toNearestOrEven)) }

/// A side of the input: the model's own, or the picture's to the next step where that is kept.
private func side(_ own: Int, _ picture: Int, _ keep: Bool) -> Int {
    if own > 0 { return own }
    return keep ? min(max(step, even(Double(picture) / Double(step)) * step), most) : anySide
}

/// Which part of a picture of this size an input of `width` × `height` shows.
func placed(_ picture: Pixels, _ width: Int, _ height: Int, _ how: PictureInput) -> Placement {
    var across = Double(picture.width) * how.central
    var down = Double(picture.height) * how.central
    if how.resize == .letterbox || how.resize == .crop {
        let steps = (across / Double(width), down / Double(height))
        let step = how.resize == .letterbox ? max(steps.0, steps.1) : min(steps.0, steps.1)
        across = Double(width) * step
        down = Double(height) * step
    }
    let left = (Double(picture.width) - across) / 2
    let top = (Double(picture.height) - down) / 2
    return Placement(
        a: (left + across - left) / Double(width), b: 0, c: left,
        d: 0, e: (top + down - top) / Double(height), f: top, width: width, height: height)
}

/// What the input shows of a picture, before values are looked up.
func seen(_ picture: Pixels, _ place: Placement, _ how: PictureInput) -> Pixels {
    let source = coloured(how.grey ? coloured(picture, 1) : picture, how.channels)
    let right = min(place.c + place.a * Double(place.width), Double(source.width))
    let bottom = min(place.f + place.e * Double(place.height), Double(source.height))
    let left = max(place.c, 0)
    let top = max(place.f, 0)
    let inside = Part(left: Float(left), top: Float(top), right: Float(right), bottom: Float(bottom))
    // The whole pixels of the input that show the picture; the rest is a letterbox's border.
    let x0 = even((left - place.c) / place.a)
    let y0 = even((top - place.f) / place.e)
    let width = max(1, even((right - place.c) / place.a) - x0)
    let height = max(1, even((bottom - place.f) / place.e) - y0)
    let whole =
        inside.left == 0 && inside.top == 0 && inside.right == Float(source.width)
        && inside.bottom == Float(source.height)
    let same = whole && width == source.width && height == source.height
    let shown = same ? source : resized(source, inside, width, height, how.filter)
    return finished(shown, min(x0, place.width - width), min(y0, place.height - height), place, how)
}

/// Puts a picture into its frame, inverts it and orders its channels as the model wants it.
private func finished(
    _ shown: Pixels, _ x0: Int, _ y0: Int, _ place: Placement, _ how: PictureInput
) -> Pixels {
    let n = shown.channels
    var found = [UInt8](repeating: 0, count: place.width * place.height * n)
    for y in 0..<place.height {
        for x in 0..<place.width {
            let inside = x >= x0 && y >= y0 && x < x0 + shown.width && y < y0 + shown.height
            for c in 0..<n {
                let value = inside ? shown.at(x - x0, y - y0, c) : how.fill
                let channel = how.bgr && n == 3 ? 2 - c : c
                found[(y * place.width + x) * n + channel] = UInt8(how.invert ? 255 - value : value)
            }
        }
    }
    return Pixels(width: place.width, height: place.height, channels: n, data: found)
}

/// Grey, RGB or RGBA.
func coloured(_ picture: Pixels, _ channels: Int) -> Pixels {
    if picture.channels == channels { return picture }
    let count = picture.width * picture.height
    var found = [UInt8](repeating: 0, count: count * channels)
    for pixel in 0..<count {
        let from = pixel * picture.channels
        for c in 0..<channels {
            if c == 3 {
                found[pixel * channels + c] = 255
            } else if channels == 1 {
                found[pixel] = luma(picture.data, from, picture.channels)
            } else {
                found[pixel * channels + c] = picture.data[from + min(c, picture.channels - 1)]
            }
        }
    }
    return Pixels(width: picture.width, height: picture.height, channels: channels, data: found)
}

private func luma(_ data: [UInt8], _ at: Int, _ channels: Int) -> UInt8 {
    if channels == 1 { return data[at] }
    let sum = 19595 * Int(data[at]) + 38470 * Int(data[at + 1]) + 7471 * Int(data[at + 2])
    return UInt8((sum + 32768) >> 16)
}

/// Brings a picture to the model's size, colours and values.
func feed(_ picture: Pixels, _ plan: Plan, _ files: Files) throws -> Fed {
    guard let how = plan.picture else { throw DeployedError.said("the model takes no picture") }
    let width = side(how.width, picture.width, how.resize == .keep)
    let height = side(how.height, picture.height, how.resize == .keep)
    let place = placed(picture, width, height, how)
    let pixels = seen(picture, place, how)
    let port = plan.inputs[how.input]
    let bytes = port.type.bytes
    let table = Tensor(file: try files.need(how.table), type: port.type)
    var dims = port.dims.map { $0 < 0 ? 1 : $0 }
    dims[how.heightAxis] = height
    dims[how.heightAxis + 1] = width
    let one = width * height * how.channels * bytes
    var data = [UInt8](repeating: 0, count: one)
    for y in 0..<height {
        for x in 0..<width {
            for c in 0..<how.channels {
                let from = (c * 256 + pixels.at(x, y, c)) * bytes
                let first = how.channelsFirst
                let to = first ? (c * height + y) * width + x : (y * width + x) * how.channels + c
                for b in 0..<bytes { data[to * bytes + b] = table.data[from + b] }
            }
        }
    }
    let copies = dims.reduce(bytes, *) / one
    let batch = (0..<copies).flatMap { _ in data }
    return Fed(tensor: Tensor(type: port.type, dims: dims, data: batch), placement: place)
}
