package deployed

import kotlin.math.abs

private fun probabilities(values: DoubleArray): DoubleArray =
    if (values.all { it in 0.0..1.0 }) values else DoubleArray(values.size) { sigmoid(values[it]) }

fun marked(task: Landmarks, plan: Plan, outputs: List<Tensor>, fed: Fed?): Answer {
    val width = fed?.placement?.width ?: 1
    val height = fed?.placement?.height ?: 1
    val values = outputs[task.output].real(plan.outputs[task.output])
    val count = values.size / task.perPoint
    val xAt = if (task.yFirst) 1 else 0
    fun at(point: Int, value: Int) = values[point * task.perPoint + value]
    val shares = task.shares ?: (0 until count).all { abs(at(it, 0)) <= 2 && abs(at(it, 1)) <= 2 }
    val scores = if (task.confidence < 0) null
    else probabilities(DoubleArray(count) { at(it, task.confidence) })
    val points = (0 until minOf(count, task.shown)).map { point ->
        val x = at(point, xAt) * if (shares) width else 1
        val y = at(point, 1 - xAt) * if (shares) height else 1
        val seen = scores == null || scores[point] >= task.score
        val place = fed?.placement
        if (place == null) Point(x, y, seen) else Point(place.x(x, y), place.y(x, y), seen)
    }
    val there = if (task.presence < 0) 1.0
    else probabilities(doubleArrayOf(outputs[task.presence].real(plan.outputs[task.presence])[0]))[0]
    val thing = task.thing.ifEmpty { "thing" }
    if (there < task.score) return Answer(listOf("no $thing (${share(there)})"))
    val sure = if (task.presence < 0) "" else " (${share(there)})"
    val lines = arrayListOf("$thing$sure: ${points.count { it.seen }} of ${points.size} points")
    for ((number, name) in task.names) if (points[number].seen) {
        lines.add("$name  (${points[number].x.toInt()}, ${points[number].y.toInt()})")
    }
    return Answer(lines, points = points, chains = task.chains)
}
