import Foundation

private func probabilities(_ values: [Double]) -> [Double] {
    values.allSatisfy { $0 >= 0 && $0 <= 1 } ? values : values.map(sigmoid)
}

func marked(_ task: Landmarks, _ plan: Plan, _ outputs: [Tensor], _ fed: Fed?) -> Answer {
    let width = Double(fed?.placement.width ?? 1)
    let height = Double(fed?.placement.height ?? 1)
    let values = outputs[task.output].real(plan.outputs[task.output])
    let count = values.count / task.perPoint
    let xAt = task.yFirst ? 1 : 0
    func at(_ point: Int, _ value: Int) -> Double { values[point * task.perPoint + value] }
    let shares = task.shares ?? (0..<count).allSatisfy { abs(at($0, 0)) <= 2 && abs(at($0, 1)) <= 2 }
    let scores = task.confidence < 0 ? nil : probabilities((0..<count).map { at($0, task.confidence) })
    let points = (0..<min(count, task.shown)).map { point -> Point in
        let x = at(point, xAt) * (shares ? width : 1)
        let y = at(point, 1 - xAt) * (shares ? height : 1)
        let seen = scores.map { $0[point] >= task.score } ?? true
        guard let place = fed?.placement else { return Point(x: x, y: y, seen: seen) }
        return Point(x: place.x(x, y), y: place.y(x, y), seen: seen)
    }
    var there = 1.0
    if task.presence >= 0 {
        there = probabilities([outputs[task.presence].real(plan.outputs[task.presence])[0]])[0]
    }
    let thing = task.thing.isEmpty ? "thing" : task.thing
    if there < task.score { return Answer(lines: ["no \(thing) (\(share(there)))"]) }
    let sure = task.presence < 0 ? "" : " (\(share(there)))"
    var lines = ["\(thing)\(sure): \(points.filter(\.seen).count) of \(points.count) points"]
    for (number, name) in task.names.sorted(by: { $0.key < $1.key }) where points[number].seen {
        lines.append("\(name)  (\(Int(points[number].x)), \(Int(points[number].y)))")
    }
    return Answer(lines: lines, points: points, chains: task.chains)
}
