package deployed

import kotlin.math.PI
import kotlin.math.ceil
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sin

/** A picture: rows from the top, [channels] bytes a pixel (grey, RGB or RGBA). */
class Pixels(val width: Int, val height: Int, val channels: Int, val data: ByteArray) {
    fun at(x: Int, y: Int, channel: Int) = data[(y * width + x) * channels + channel].toInt() and 255
}

/** Part of a picture: left, top, right, bottom in its pixels. */
class Part(val left: Float, val top: Float, val right: Float, val bottom: Float)

private const val BITS = 22

/** What each pixel of one axis is a sum of: from [start] on, [weights] in units of 2^-22. */
private class Weights(val start: IntArray, val weights: Array<IntArray>)

private class Kernel(val support: Double, val weight: (Double) -> Double)

private fun kernel(filter: Filter): Kernel = when (filter) {
    Filter.BILINEAR -> Kernel(1.0) { x -> max(0.0, 1.0 - kotlin.math.abs(x)) }
    Filter.BICUBIC -> Kernel(2.0) { x -> cubic(kotlin.math.abs(x)) }
    else -> Kernel(3.0) { x -> if (x >= -3.0 && x < 3.0) sinc(x) * sinc(x / 3) else 0.0 }
}

private fun cubic(x: Double): Double = when {
    x < 1 -> (1.5 * x - 2.5) * x * x + 1
    x < 2 -> (((x - 5) * x + 8) * x - 4) * -0.5
    else -> 0.0
}

private fun sinc(x: Double) = if (x == 0.0) 1.0 else sin(x * PI) / (x * PI)

private fun weights(size: Int, from: Float, to: Float, wanted: Int, kernel: Kernel): Weights {
    val scale = (to - from).toDouble() / wanted
    val stretch = max(scale, 1.0)
    val support = kernel.support * stretch
    val start = IntArray(wanted)
    val found = Array(wanted) { index ->
        val center = from + (index + 0.5) * scale
        val first = max(0, (center - support + 0.5).toInt())
        val last = min(size, (center + support + 0.5).toInt())
        start[index] = first
        val shares = DoubleArray(last - first) { kernel.weight((it + first - center + 0.5) * (1.0 / stretch)) }
        val sum = shares.sum()
        IntArray(shares.size) {
            val share = if (sum != 0.0) shares[it] / sum else shares[it]
            (share * (1 shl BITS) + if (share < 0) -0.5 else 0.5).toInt()
        }
    }
    return Weights(start, found)
}

private fun byte(sum: Int) = (sum shr BITS).coerceIn(0, 255).toByte()

/**
 * Brings part of a picture to a size, as Pillow does: a pixel is the weighted mean of all that it covers,
 * first along rows and then along columns, in integers.
 */
fun resized(source: Pixels, part: Part, width: Int, height: Int, filter: Filter): Pixels {
    if (filter == Filter.NEAREST) return nearest(source, part, width, height)
    val across = weights(source.width, part.left, part.right, width, kernel(filter))
    val down = weights(source.height, part.top, part.bottom, height, kernel(filter))
    val top = down.start[0]
    val rows = down.start[height - 1] + down.weights[height - 1].size - top
    val n = source.channels
    val between = ByteArray(rows * width * n)
    for (y in 0 until rows) for (x in 0 until width) for (c in 0 until n) {
        val weights = across.weights[x]
        var at = ((y + top) * source.width + across.start[x]) * n + c
        var sum = 1 shl (BITS - 1)
        for (weight in weights) {
            sum += (source.data[at].toInt() and 255) * weight
            at += n
        }
        between[(y * width + x) * n + c] = byte(sum)
    }
    val found = ByteArray(height * width * n)
    for (y in 0 until height) for (x in 0 until width * n) {
        var at = (down.start[y] - top) * width * n + x
        var sum = 1 shl (BITS - 1)
        for (weight in down.weights[y]) {
            sum += (between[at].toInt() and 255) * weight
            at += width * n
        }
        found[y * width * n + x] = byte(sum)
    }
    return Pixels(width, height, n, found)
}

private fun nearest(source: Pixels, part: Part, width: Int, height: Int): Pixels {
    val n = source.channels
    val across = (part.right.toDouble() - part.left) / width
    val down = (part.bottom.toDouble() - part.top) / height
    val found = ByteArray(width * height * n)
    for (y in 0 until height) for (x in 0 until width) {
        val column = (part.left + (x + 0.5) * across).toInt().coerceIn(0, source.width - 1)
        val row = (part.top + (y + 0.5) * down).toInt().coerceIn(0, source.height - 1)
        for (c in 0 until n) found[(y * width + x) * n + c] = source.at(column, row, c).toByte()
    }
    return Pixels(width, height, n, found)
}
