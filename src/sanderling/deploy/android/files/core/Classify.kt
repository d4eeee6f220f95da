package deployed

import kotlin.math.exp

fun sigmoid(value: Double) = 1 / (1 + exp(-value.coerceIn(-100.0, 100.0)))

/** Shares of the classes: several frames vote with their mean; one value alone is the share of "yes". */
fun shares(values: DoubleArray, columns: Int, asked: Scores): DoubleArray {
    val flat = columns == 1 || values.size == columns
    val width = if (flat) values.size else columns
    val inside = values.min() >= -1e-3 && values.max() <= 1 + 1e-3
    val scores = when {
        asked != Scores.AUTO -> asked
        inside -> Scores.PROBABILITIES
        width == 1 -> Scores.INDEPENDENT
        else -> Scores.LOGITS
    }
    val sums = DoubleArray(width)
    val rows = values.size / width
    for (row in 0 until rows) {
        val frame = values.copyOfRange(row * width, (row + 1) * width)
        val most = frame.max()
        val total = frame.sumOf { exp(it - most) }
        for (column in 0 until width) sums[column] += when {
            scores == Scores.LOGITS && width > 1 -> exp(frame[column] - most) / total
            scores == Scores.PROBABILITIES -> frame[column]
            else -> sigmoid(frame[column])
        }
    }
    val found = DoubleArray(width) { (sums[it] / rows).coerceIn(0.0, 1.0) }
    return if (width == 1) doubleArrayOf(1 - found[0], found[0]) else found
}

fun classified(task: Classify, plan: Plan, outputs: List<Tensor>, labels: List<String>): Answer {
    val output = outputs[task.output]
    val shares = shares(output.real(plan.outputs[task.output]), output.dims.lastOrNull() ?: 1, task.scores)
    val order = shares.indices.sortedByDescending { shares[it] }.take(task.top)
    val shown = order.filterIndexed { place, number -> place == 0 || shares[number] >= task.least }
    val found = shown.map { Named(it, named(labels, it), shares[it]) }
    return Answer(found.map { "${it.label}  ${share(it.score)}" }, classes = found)
}
