import Foundation

/// The class of each pixel, at the output's own resolution.
func maskOf(_ task: Segment, _ plan: Plan, _ outputs: [Tensor]) throws -> Mask {
    let values = outputs[task.output].real(plan.outputs[task.output])
    var dims = outputs[task.output].dims
    while dims.count > 3 && dims[0] == 1 { dims.removeFirst() }
    if dims.count == 3 && !task.classesFirst && dims[0] == 1 && task.kind != .classes { dims.removeFirst() }
    guard dims.count == 2 || dims.count == 3 else {
        throw DeployedError.said("a mask of \(dims.count) axes is not known")
    }
    let first = dims.count == 3 && task.classesFirst ? 1 : 0
    let height = dims[first]
    let width = dims[first + 1]
    let count = dims.count == 2 ? 1 : first == 1 ? dims[0] : dims[2]
    func at(_ pixel: Int, _ number: Int) -> Double {
        first == 1 ? values[number * width * height + pixel] : values[pixel * count + number]
    }
    let cut = task.kind == .logit ? 0 : task.cut
    let classes = (0..<(width * height)).map { pixel -> Int in
        if task.kind == .map { return Int(min(max(at(pixel, 0).rounded(.toNearestOrEven), 0), 65535)) }
        if task.kind != .classes || count == 1 { return at(pixel, count - 1) > cut ? 1 : 0 }
        var best = 0
        for number in 1..<count where at(pixel, number) > at(pixel, best) { best = number }
        return best
    }
    return Mask(width: width, height: height, classes: classes, background: task.background)
}

func segmented(
    _ task: Segment, _ plan: Plan, _ outputs: [Tensor], _ fed: Fed?, _ picture: Pixels?, _ labels: [String]
) throws -> Answer {
    let mask = try maskOf(task, plan, outputs)
    var areas: [Int: Int] = [:]
    var total = 0
    for y in 0..<mask.height {
        for x in 0..<mask.width where shows(x, y, mask, fed, picture) {
            areas[mask.classes[y * mask.width + x], default: 0] += 1
            total += 1
        }
    }
    let found = areas.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }
        .map { Named(number: $0.key, label: named(labels, $0.key), score: Double($0.value) / Double(total)) }
        .filter { $0.score >= task.least }
    let lines = found.map { "\($0.label)  \(share($0.score))" }
    return Answer(lines: lines, classes: found, mask: mask, placement: fed?.placement)
}

/// Whether a pixel of the mask lies in the picture, and not in a letterbox's border.
private func shows(_ column: Int, _ row: Int, _ mask: Mask, _ fed: Fed?, _ picture: Pixels?) -> Bool {
    guard let place = fed?.placement, let picture else { return true }
    let u = (Double(column) + 0.5) * Double(place.width) / Double(mask.width)
    let v = (Double(row) + 0.5) * Double(place.height) / Double(mask.height)
    let x = place.x(u, v)
    let y = place.y(u, v)
    return x >= 0 && y >= 0 && x <= Double(picture.width) && y <= Double(picture.height)
}
