package deployed

import kotlin.math.PI
import kotlin.math.atan2
import kotlin.math.cos
import kotlin.math.hypot
import kotlin.math.max
import kotlin.math.sin

/** The parts of a picture that a model is to see, the best first: around each box, turned upright. */
fun crops(boxes: List<Box>, crop: Crop, width: Int, height: Int): List<Placement> =
    boxes.filter { it.score >= crop.score }.sortedByDescending { it.score }.take(crop.most)
        .map { place(it, crop, width, height) }

private fun place(box: Box, crop: Crop, inputWidth: Int, inputHeight: Int): Placement {
    val (left, top, right, bottom) = around(box, crop)
    var width = max(right - left, 1.0)
    var height = max(bottom - top, 1.0)
    val turn = turn(box.points, crop)
    val c = cos(turn)
    val s = sin(turn)
    val x = (left + right) / 2 + crop.shiftX * width * c - crop.shiftY * height * s
    val y = (top + bottom) / 2 + crop.shiftX * width * s + crop.shiftY * height * c
    if (crop.square) {
        width = max(width, height)
        height = width
    }
    val stepX = width * crop.scale / inputWidth
    val stepY = height * crop.scale / inputHeight
    return Placement(
        stepX * c, -stepY * s, x - (width * c - height * s) * crop.scale / 2,
        stepX * s, stepY * c, y - (width * s + height * c) * crop.scale / 2, inputWidth, inputHeight,
    )
}

/** Left, top, right and bottom of what the part is made from: the box, or a circle through two points. */
private fun around(box: Box, crop: Crop): List<Double> {
    val points = box.points
    if (crop.around.isEmpty() || crop.around.max() >= points.size)
        return listOf(box.left, box.top, box.right, box.bottom)
    val center = points[crop.around[0]]
    val radius = hypot(points[crop.around[1]].x - center.x, points[crop.around[1]].y - center.y)
    return listOf(center.x - radius, center.y - radius, center.x + radius, center.y + radius)
}

/** By how much the part is turned, in radians, clockwise as seen. */
private fun turn(points: List<Point>, crop: Crop): Double {
    val level = if (crop.level.isEmpty() && points.size == 6) intArrayOf(0, 1) else crop.level
    if (level.isEmpty() || level.max() >= points.size) return 0.0
    val from = points[level[0]]
    val to = points[level[1]]
    if (from.x == to.x && from.y == to.y) return 0.0
    val turn = atan2(to.y - from.y, to.x - from.x)
    return if (crop.upright) turn + PI / 2 else turn
}
