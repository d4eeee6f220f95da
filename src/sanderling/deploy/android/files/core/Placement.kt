package deployed

import kotlin.math.abs
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sqrt

/**
 * Where the input's pixels lie in the picture: x = a·column + b·row + c, y = d·column + e·row + f, counted
 * from the corners of pixels.
 */
class Placement(
    val a: Double, val b: Double, val c: Double, val d: Double, val e: Double, val f: Double,
    val width: Int, val height: Int,
) {
    fun x(column: Double, row: Double) = a * column + b * row + c

    fun y(column: Double, row: Double) = d * column + e * row + f

    /** This place in a picture of which the one that it was in is a part, placed like [outer]. */
    fun within(outer: Placement) = Placement(
        outer.a * a + outer.b * d, outer.a * b + outer.b * e, outer.x(c, f),
        outer.d * a + outer.e * d, outer.d * b + outer.e * e, outer.y(c, f), width, height,
    )

    /** The upright box in the picture around one in the input's pixels, cut at the picture's borders. */
    fun box(left: Double, top: Double, right: Double, bottom: Double, picture: Pixels): DoubleArray {
        val xs = doubleArrayOf(x(left, top), x(right, top), x(right, bottom), x(left, bottom))
        val ys = doubleArrayOf(y(left, top), y(right, top), y(right, bottom), y(left, bottom))
        val width = picture.width.toDouble()
        val height = picture.height.toDouble()
        return doubleArrayOf(
            xs.min().coerceIn(0.0, width), ys.min().coerceIn(0.0, height),
            xs.max().coerceIn(0.0, width), ys.max().coerceIn(0.0, height),
        )
    }

    /** Cuts the input's part out of the picture, black beyond its borders. */
    fun cut(picture: Pixels): Pixels {
        val factor = max(1, sqrt(abs(a * e - b * d)).toInt())  // single pixels are looked at: first averaged
        val small = if (factor > 1) reduced(picture, factor) else picture
        val found = ByteArray(width * height * small.channels)
        for (row in 0 until height) for (column in 0 until width) {
            val x = x(column + 0.5, row + 0.5, factor)
            val y = y(column + 0.5, row + 0.5, factor)
            if (x < 0 || y < 0 || x >= small.width || y >= small.height) continue
            for (channel in 0 until small.channels)
                found[(row * width + column) * small.channels + channel] = between(small, x, y, channel)
        }
        return Pixels(width, height, small.channels, found)
    }

    private fun x(column: Double, row: Double, by: Int) = a / by * column + b / by * row + c / by

    private fun y(column: Double, row: Double, by: Int) = d / by * column + e / by * row + f / by
}

private fun between(source: Pixels, x: Double, y: Double, channel: Int): Byte {
    val left = floor(x - 0.5)
    val top = floor(y - 0.5)
    val x0 = left.toInt().coerceIn(0, source.width - 1)
    val x1 = (left.toInt() + 1).coerceIn(0, source.width - 1)
    val y0 = top.toInt().coerceIn(0, source.height - 1)
    val y1 = (top.toInt() + 1).coerceIn(0, source.height - 1)
    val dx = x - 0.5 - left
    val dy = y - 0.5 - top
    val upper = mix(source.at(x0, y0, channel), source.at(x1, y0, channel), dx)
    val lower = mix(source.at(x0, y1, channel), source.at(x1, y1, channel), dx)
    return (upper + (lower - upper) * dy).toInt().toByte()
}

private fun mix(from: Int, to: Int, share: Double) = from + (to - from) * share

/** Means of squares of [factor] × [factor] pixels; the last ones of a row or column may be of fewer. */
fun reduced(source: Pixels, factor: Int): Pixels {
    val width = (source.width + factor - 1) / factor
    val height = (source.height + factor - 1) / factor
    val n = source.channels
    val found = ByteArray(width * height * n)
    for (row in 0 until height) for (column in 0 until width) for (channel in 0 until n) {
        val right = min(source.width, (column + 1) * factor)
        val bottom = min(source.height, (row + 1) * factor)
        var sum = 0L
        for (y in row * factor until bottom) for (x in column * factor until right) sum += source.at(x, y, channel)
        val count = (right - column * factor) * (bottom - row * factor)
        val inverse = (4294967296f / (256 * count)).toLong()
        found[(row * width + column) * n + channel] = (((sum + count / 2) * inverse) shr 24).toByte()
    }
    return Pixels(width, height, n, found)
}
