import Foundation

/// The parts of a picture that a model is to see, the best first: around each box, turned upright.
func crops(_ boxes: [Box], _ crop: Crop, _ width: Int, _ height: Int) -> [Placement] {
    let order = sorted(0..<boxes.count, by: boxes.map(\.score)).filter { boxes[$0].score >= crop.score }
    return order.prefix(crop.most).map { place(boxes[$0], crop, width, height) }
}

private func place(_ box: Box, _ crop: Crop, _ inputWidth: Int, _ inputHeight: Int) -> Placement {
    let (left, top, right, bottom) = around(box, crop)
    var width = max(right - left, 1)
    var height = max(bottom - top, 1)
    let turn = angle(box.points, crop)
    let c = cos(turn)
    let s = sin(turn)
    let x = (left + right) / 2 + crop.shiftX * width * c - crop.shiftY * height * s
    let y = (top + bottom) / 2 + crop.shiftX * width * s + crop.shiftY * height * c
    if crop.square {
        width = max(width, height)
        height = width
    }
    let stepX = width * crop.scale / Double(inputWidth)
    let stepY = height * crop.scale / Double(inputHeight)
    return Placement(
        a: stepX * c, b: -stepY * s, c: x - (width * c - height * s) * crop.scale / 2,
        d: stepX * s, e: stepY * c, f: y - (width * s + height * c) * crop.scale / 2,
        width: inputWidth, height: inputHeight)
}

/// Left, top, right and bottom of what the part is made from: the box, or a circle through two points.
private func around(_ box: Box, _ crop: Crop) -> (Double, Double, Double, Double) {
    guard let last = crop.around.max(), last < box.points.count else {
        return (box.left, box.top, box.right, box.bottom)
    }
    let center = box.points[crop.around[0]]
    let edge = box.points[crop.around[1]]
    let radius = hypot(edge.x - center.x, edge.y - center.y)
    return (center.x - radius, center.y - radius, center.x + radius, center.y + radius)
}

/// By how much the part is turned, in radians, clockwise as seen.
private func angle(_ points: [Point], _ crop: Crop) -> Double {
    let level = crop.level.isEmpty && points.count == 6 ? [0, 1] : crop.level
    guard let last = level.max(), last < points.count else { return 0 }
    let from = points[level[0]]
    let to = points[level[1]]
    if from.x == to.x && from.y == to.y { return 0 }
    let turn = atan2(to.y - from.y, to.x - from.x)
    return crop.upright ? turn + Double.pi / 2 : turn
}
