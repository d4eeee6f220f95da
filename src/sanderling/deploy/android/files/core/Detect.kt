package deployed

import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min

private const val LEAST_SCORE = 0.05
private const val MOST_BOXES = 100
private const val SAME_OBJECT = 0.5

/** A box as the model gives it: corners in shares (or pixels) of the input; the row that it came from. */
private class Found(
    val left: Double, val top: Double, val right: Double, val bottom: Double, val score: Double,
    val number: Int, val row: Int,
)

private class Table(val values: DoubleArray, val columns: Int) {
    val rows get() = values.size / columns

    fun at(row: Int, column: Int) = values[row * columns + column]
}

private fun table(outputs: List<Tensor>, plan: Plan, position: Int): Table {
    val output = outputs[position]
    return Table(output.real(plan.outputs[position]), output.dims.lastOrNull() ?: 1)
}

fun detected(
    task: Detect, plan: Plan, outputs: List<Tensor>, fed: Fed?, picture: Pixels?, labels: List<String>,
    files: Files,
): Answer {
    val width = fed?.placement?.width ?: 1
    val height = fed?.placement?.height ?: 1
    val anchors = if (task.anchors.isEmpty()) null else Tensor.read(files.need(task.anchors), Type.FLOAT32)
    val raw = when (task.format) {
        BoxFormat.LISTED -> listed(task, plan, outputs)
        BoxFormat.ANCHORS -> anchored(task, plan, outputs, anchors, width, height)
        BoxFormat.GRID -> grid(task, plan, outputs)
    }
    val inPixels = task.format == BoxFormat.GRID &&
        (task.pixels ?: ((raw.maxOfOrNull { maxOf(it.left, it.top, it.right, it.bottom) } ?: 0.0) > 2))
    val across = if (inPixels) 1.0 else width.toDouble()
    val down = if (inPixels) 1.0 else height.toDouble()
    val boxes = raw.filter { it.score >= task.score }.take(task.most).map { each ->
        val points = keypoints(task, plan, outputs, anchors, each.row, width, height)
        val at = doubleArrayOf(each.left * across, each.top * down, each.right * across, each.bottom * down)
        val box = if (fed == null || picture == null) at
        else fed.placement.box(at[0], at[1], at[2], at[3], picture)
        Box(
            box[0], box[1], box[2], box[3], each.score, each.number + if (task.background) 1 else 0,
            named(labels, each.number), points.map { (x, y) -> placed(fed, x, y) },
        )
    }
    val lines = boxes.map { "${it.label}  ${share(it.score)}" }
    return Answer(lines.ifEmpty { listOf("no boxes") }, boxes = boxes)
}

private fun placed(fed: Fed?, x: Double, y: Double): Point {
    val place = fed?.placement ?: return Point(x, y, true)
    return Point(place.x(x, y), place.y(x, y), true)
}

private fun listed(task: Detect, plan: Plan, outputs: List<Tensor>): List<Found> {
    val scores = outputs[task.scores].real(plan.outputs[task.scores])
    val corners = outputs[task.boxes].real(plan.outputs[task.boxes])
    val classes = outputs[task.classes].real(plan.outputs[task.classes])
    var count = scores.size
    if (task.count >= 0) {
        val said = outputs[task.count].real(plan.outputs[task.count])[0]
        count = min(count, max(0, Math.rint(said).toInt()))
    }
    return (0 until count).sortedByDescending { scores[it] }.filter { scores[it] >= LEAST_SCORE }.take(MOST_BOXES)
        .map { row ->
            val at = 4 * row
            Found(
                corners[at + 1], corners[at], corners[at + 3], corners[at + 2], scores[row],
                Math.rint(classes[row]).toInt(), row,
            )
        }
}

private fun anchored(
    task: Detect, plan: Plan, outputs: List<Tensor>, anchors: Tensor?, width: Int, height: Int,
): List<Found> {
    val scores = table(outputs, plan, task.scores)
    val boxes = table(outputs, plan, task.boxes)
    val first = if (task.background) 1 else 0
    val found = (0 until scores.rows).map { row ->
        var best = first
        for (column in first + 1 until scores.columns) if (scores.at(row, column) > scores.at(row, best)) best = column
        val score = scores.at(row, best)
        decoded(task, boxes, anchors, row, width, height, if (task.logits) sigmoid(score) else score, best - first)
    }
    return suppressed(found)
}

private fun decoded(
    task: Detect, boxes: Table, anchors: Tensor?, row: Int, width: Int, height: Int, score: Double, number: Int,
): Found {
    val (x, y, w, h) = List(4) { anchors?.at(4 * row + it) ?: if (it < 2) 0.0 else 1.0 }
    val at = List(4) { boxes.at(row, it) }
    val centerX = if (task.exponential) at[1] / 10 * w + x else at[0] / width * w + x
    val centerY = if (task.exponential) at[0] / 10 * h + y else at[1] / height * h + y
    val sizeX = if (task.exponential) exp((at[3] / 5).coerceIn(-20.0, 8.0)) * w else abs(at[2] / width * w)
    val sizeY = if (task.exponential) exp((at[2] / 5).coerceIn(-20.0, 8.0)) * h else abs(at[3] / height * h)
    return Found(
        centerX - sizeX / 2, centerY - sizeY / 2, centerX + sizeX / 2, centerY + sizeY / 2, score, number, row,
    )
}

private fun grid(task: Detect, plan: Plan, outputs: List<Tensor>): List<Found> {
    val dims = outputs[task.boxes].dims
    val values = outputs[task.boxes].real(plan.outputs[task.boxes])
    val rows = dims[dims.size - if (task.transposed) 1 else 2]
    val columns = dims[dims.size - if (task.transposed) 2 else 1]
    fun at(row: Int, column: Int) = if (task.transposed) values[column * rows + row] else values[row * columns + column]
    val first = if (task.objectness) 5 else 4
    val found = (0 until rows).map { row ->
        val sure = if (task.objectness) at(row, 4) else 1.0
        var best = first
        for (column in first + 1 until columns) if (at(row, column) > at(row, best)) best = column
        val score = if (first < columns) at(row, best) * sure else sure
        val halfX = abs(at(row, 2)) / 2
        val halfY = abs(at(row, 3)) / 2
        Found(at(row, 0) - halfX, at(row, 1) - halfY, at(row, 0) + halfX, at(row, 1) + halfY, score, best - first, row)
    }
    return suppressed(found)
}

/** Of boxes of one class that overlap by more than half only the best is kept. */
private fun suppressed(all: List<Found>): List<Found> {
    val waiting = all.sortedByDescending { it.score }.take(4 * MOST_BOXES).filter { it.score >= LEAST_SCORE }
    val kept = ArrayList<Found>()
    for (each in waiting) if (kept.none { it.number == each.number && overlap(it, each) > SAME_OBJECT }) kept.add(each)
    return kept.take(MOST_BOXES)
}

private fun overlap(a: Found, b: Found): Double {
    val across = max(0.0, min(a.right, b.right) - max(a.left, b.left))
    val down = max(0.0, min(a.bottom, b.bottom) - max(a.top, b.top))
    val union = area(a) + area(b) - across * down
    return if (union > 0) across * down / union else 0.0
}

private fun area(box: Found) = max(0.0, box.right - box.left) * max(0.0, box.bottom - box.top)

/** The points that follow a box in its row, in pixels of the input. */
private fun keypoints(
    task: Detect, plan: Plan, outputs: List<Tensor>, anchors: Tensor?, row: Int, width: Int, height: Int,
): List<Pair<Double, Double>> {
    if (task.format != BoxFormat.ANCHORS || task.exponential || anchors == null) return listOf()
    val boxes = table(outputs, plan, task.boxes)
    return (4 until boxes.columns - 1 step 2).map { column ->
        val x = boxes.at(row, column) / width * anchors.at(4 * row + 2) + anchors.at(4 * row)
        val y = boxes.at(row, column + 1) / height * anchors.at(4 * row + 3) + anchors.at(4 * row + 1)
        x * width to y * height
    }
}
