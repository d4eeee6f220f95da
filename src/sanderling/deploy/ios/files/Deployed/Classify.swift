import Foundation

func sigmoid(_ value: Double) -> Double { 1 / (1 + exp(-min(max(value, -100), 100))) }

/// Shares of the classes: several frames vote with their mean; one value alone is the share of "yes".
func shares(_ values: [Double], _ columns: Int, _ asked: Scores) -> [Double] {
    let width = columns == 1 || values.count == columns ? values.count : columns
    let inside = (values.min() ?? 0) >= -1e-3 && (values.max() ?? 0) <= 1 + 1e-3
    var scores = asked
    if scores == .auto { scores = inside ? .probabilities : width == 1 ? .independent : .logits }
    var sums = [Double](repeating: 0, count: width)
    let rows = values.count / width
    for row in 0..<rows {
        let frame = Array(values[(row * width)..<((row + 1) * width)])
        let most = frame.max() ?? 0
        let total = frame.reduce(0) { $0 + exp($1 - most) }
        for column in 0..<width {
            if scores == .logits && width > 1 {
                sums[column] += exp(frame[column] - most) / total
            } else if scores == .probabilities {
                sums[column] += frame[column]
            } else {
                sums[column] += sigmoid(frame[column])
            }
        }
    }
    let found = sums.map { min(max($0 / Double(rows), 0), 1) }
    return width == 1 ? [1 - found[0], found[0]] : found
}

func classified(_ task: Classify, _ plan: Plan, _ outputs: [Tensor], _ labels: [String]) -> Answer {
    let output = outputs[task.output]
    let all = shares(output.real(plan.outputs[task.output]), output.dims.last ?? 1, task.scores)
    let order = sorted(0..<all.count, by: all).prefix(task.top)
    let shown = order.enumerated().filter { $0.offset == 0 || all[$0.element] >= task.least }
    let found = shown.map { Named(number: $0.element, label: named(labels, $0.element), score: all[$0.element]) }
    return Answer(lines: found.map { "\($0.label)  \(share($0.score))" }, classes: found)
}

/// Numbers ordered by their scores, the best first, of equals the first.
func sorted(_ numbers: Range<Int>, by scores: [Double]) -> [Int] {
    numbers.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
}
