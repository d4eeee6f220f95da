import Foundation

private let leastScore = 0.05
private let mostBoxes = 100
private let sameObject = 0.5

/// A box as the model gives it: corners in shares (or pixels) of the input; the row that it came from.
private struct Found {
    let left, top, right, bottom, score: Double
    let number: Int
    let row: Int
}

private struct Table {
    let values: [Double]
    let columns: Int

    init(_ outputs: [Tensor], _ plan: Plan, _ position: Int) {
        values = outputs[position].real(plan.outputs[position])
        columns = outputs[position].dims.last ?? 1
    }

    var rows: Int { values.count / columns }

    func at(_ row: Int, _ column: Int) -> Double { values[row * columns + column] }
}

func detected(
    _ task: Detect, _ plan: Plan, _ outputs: [Tensor], _ fed: Fed?, _ picture: Pixels?, _ labels: [String],
    _ files: Files
) throws -> Answer {
    let width = Double(fed?.placement.width ?? 1)
    let height = Double(fed?.placement.height ?? 1)
    let anchors = task.anchors.isEmpty ? nil : Tensor(file: try files.need(task.anchors), type: .float32)
    let raw: [Found]
    switch task.format {
    case .listed: raw = listed(task, plan, outputs)
    case .anchors: raw = anchored(task, plan, outputs, anchors, width, height)
    case .grid: raw = grid(task, plan, outputs)
    }
    let largest = raw.flatMap { [$0.left, $0.top, $0.right, $0.bottom] }.max() ?? 0
    let inPixels = task.format == .grid && (task.pixels ?? (largest > 2))
    let across = inPixels ? 1 : width
    let down = inPixels ? 1 : height
    let boxes = raw.filter { $0.score >= task.score }.prefix(task.most).map { item -> Box in
        var corners = [item.left * across, item.top * down, item.right * across, item.bottom * down]
        if let fed, let picture { corners = fed.placement.box(corners, in: picture) }
        let points = keypoints(task, plan, outputs, anchors, item.row, width, height)
        return Box(
            left: corners[0], top: corners[1], right: corners[2], bottom: corners[3], score: item.score,
            number: item.number + (task.background ? 1 : 0), label: named(labels, item.number),
            points: points.map { point(fed, $0.0, $0.1) })
    }
    let lines = boxes.map { "\($0.label)  \(share($0.score))" }
    return Answer(lines: lines.isEmpty ? ["no boxes"] : lines, boxes: boxes)
}

private func point(_ fed: Fed?, _ x: Double, _ y: Double) -> Point {
    guard let place = fed?.placement else { return Point(x: x, y: y, seen: true) }
    return Point(x: place.x(x, y), y: place.y(x, y), seen: true)
}

private func listed(_ task: Detect, _ plan: Plan, _ outputs: [Tensor]) -> [Found] {
    let scores = outputs[task.scores].real(plan.outputs[task.scores])
    let corners = outputs[task.boxes].real(plan.outputs[task.boxes])
    let classes = outputs[task.classes].real(plan.outputs[task.classes])
    var count = scores.count
    if task.count >= 0 {
        let said = outputs[task.count].real(plan.outputs[task.count])[0]
        count = min(count, max(0, Int(said.rounded(.toNearestOrEven))))
    }
    return sorted(0..<count, by: scores).filter { scores[$0] >= leastScore }.prefix(mostBoxes).map { row in
        Found(
            left: corners[4 * row + 1], top: corners[4 * row], right: corners[4 * row + 3],
            bottom: corners[4 * row + 2], score: scores[row],
            number: Int(classes[row].rounded(.toNearestOrEven)), row: row)
    }
}

private func anchored(
    _ task: Detect, _ plan: Plan, _ outputs: [Tensor], _ anchors: Tensor?, _ width: Double, _ height: Double
) -> [Found] {
    let scores = Table(outputs, plan, task.scores)
    let boxes = Table(outputs, plan, task.boxes)
    let first = task.background ? 1 : 0
    let found = (0..<scores.rows).map { row -> Found in
        var best = first
        for column in first..<scores.columns where scores.at(row, column) > scores.at(row, best) { best = column }
        let score = scores.at(row, best)
        let sure = task.logits ? sigmoid(score) : score
        return decoded(task, boxes, anchors, row, width, height, sure, best - first)
    }
    return suppressed(found)
}

private func decoded(
    _ task: Detect, _ boxes: Table, _ anchors: Tensor?, _ row: Int, _ width: Double, _ height: Double,
    _ score: Double, _ number: Int
) -> Found {
    let base = (0..<4).map { anchors?.at(4 * row + $0) ?? ($0 < 2 ? 0 : 1) }
    let at = (0..<4).map { boxes.at(row, $0) }
    var center = (at[0] / width * base[2] + base[0], at[1] / height * base[3] + base[1])
    var size = (abs(at[2] / width * base[2]), abs(at[3] / height * base[3]))
    if task.exponential {
        center = (at[1] / 10 * base[2] + base[0], at[0] / 10 * base[3] + base[1])
        size = (exp(min(max(at[3] / 5, -20), 8)) * base[2], exp(min(max(at[2] / 5, -20), 8)) * base[3])
    }
    return Found(
        left: center.0 - size.0 / 2, top: center.1 - size.1 / 2, right: center.0 + size.0 / 2,
        bottom: center.1 + size.1 / 2, score: score, number: number, row: row)
}

private func grid(_ task: Detect, _ plan: Plan, _ outputs: [Tensor]) -> [Found] {
    let dims = outputs[task.boxes].dims
    let values = outputs[task.boxes].real(plan.outputs[task.boxes])
    let rows = dims[dims.count - (task.transposed ? 1 : 2)]
    let columns = dims[dims.count - (task.transposed ? 2 : 1)]
    func at(_ row: Int, _ column: Int) -> Double {
        task.transposed ? values[column * rows + row] : values[row * columns + column]
    }
    let first = task.objectness ? 5 : 4
    let found = (0..<rows).map { row -> Found in
        let sure = task.objectness ? at(row, 4) : 1
        var best = first
        for column in first..<columns where at(row, column) > at(row, best) { best = column }
        let halfX = abs(at(row, 2)) / 2
        let halfY = abs(at(row, 3)) / 2
        return Found(
            left: at(row, 0) - halfX, top: at(row, 1) - halfY, right: at(row, 0) + halfX,
            bottom: at(row, 1) + halfY, score: first < columns ? at(row, best) * sure : sure,
            number: best - first, row: row)
    }
    return suppressed(found)
}

/// Of boxes of one class that overlap by more than half only the best is kept.
private func suppressed(_ all: [Found]) -> [Found] {
    let order = sorted(0..<all.count, by: all.map(\.score)).prefix(4 * mostBoxes)
    var kept: [Found] = []
    for item in order.map({ all[$0] }) where item.score >= leastScore {
        let again = kept.contains { $0.number == item.number && overlap($0, item) > sameObject }
        if !again { kept.append(item) }
    }
    return Array(kept.prefix(mostBoxes))
}

private func overlap(_ a: Found, _ b: Found) -> Double {
    let across = max(0, min(a.right, b.right) - max(a.left, b.left))
    let down = max(0, min(a.bottom, b.bottom) - max(a.top, b.top))
    let union = area(a) + area(b) - across * down
    return union > 0 ? across * down / union : 0
}

private func area(_ box: Found) -> Double { max(0, box.right - box.left) * max(0, box.bottom - box.top) }

/// The points that follow a box in its row, in pixels of the input.
private func keypoints(
    _ task: Detect, _ plan: Plan, _ outputs: [Tensor], _ anchors: Tensor?, _ row: Int, _ width: Double,
    _ height: Double
) -> [(Double, Double)] {
    guard task.format == .anchors, !task.exponential, let anchors else { return [] }
    let boxes = Table(outputs, plan, task.boxes)
    return stride(from: 4, to: boxes.columns - 1, by: 2).map { column in
        let x = boxes.at(row, column) / width * anchors.at(4 * row + 2) + anchors.at(4 * row)
        let y = boxes.at(row, column + 1) / height * anchors.at(4 * row + 3) + anchors.at(4 * row + 1)
        return (x * width, y * height)
    }
}
