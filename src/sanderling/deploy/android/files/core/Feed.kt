package deployed

import kotlin.math.max
import kotlin.math.min

/** A picture as the model takes it, and where it lies in the one that was given. */
class Fed(val tensor: Tensor, val placement: Placement)

private const val ANY_SIDE = 224
private const val STEP = 32
private const val MOST = 2048

/** A side of the input: the model's own, or the picture's to the next step where that is kept. */
private fun side(own: Int, picture: Int, keep: Boolean): Int = when {
    own > 0 -> own
    !keep -> ANY_SIDE
    else -> min(max(STEP, even(picture.toDouble() / STEP) * STEP), MOST)
}

/** The nearest whole number, of two the even one. */
private fun even(value: Double) = Math.rint(value).toInt()

/** Which part of a picture of this size an input of [width] × [height] shows. */
fun placed(picture: Pixels, width: Int, height: Int, how: PictureInput): Placement {
    var across = picture.width * how.central
    var down = picture.height * how.central
    if (how.resize == Resize.LETTERBOX || how.resize == Resize.CROP) {
        val steps = doubleArrayOf(across / width, down / height)
        val step = if (how.resize == Resize.LETTERBOX) steps.max() else steps.min()
        across = width * step
        down = height * step
    }
    val left = (picture.width - across) / 2
    val top = (picture.height - down) / 2
    return Placement(
        (left + across - left) / width, 0.0, left, 0.0, (top + down - top) / height, top, width, height,
    )
}

/** What the input shows of a picture, before values are looked up. */
fun seen(picture: Pixels, place: Placement, how: PictureInput): Pixels {
    val source = coloured(picture, how)
    val right = place.c + place.a * place.width
    val bottom = place.f + place.e * place.height
    val left = max(place.c, 0.0)
    val top = max(place.f, 0.0)
    val inside = Part(
        left.toFloat(), top.toFloat(),
        min(right, source.width.toDouble()).toFloat(), min(bottom, source.height.toDouble()).toFloat(),
    )
    // The whole pixels of the input that show the picture; the rest is a letterbox's border.
    var x0 = even((left - place.c) / place.a)
    var y0 = even((top - place.f) / place.e)
    val width = max(1, even((min(right, source.width.toDouble()) - place.c) / place.a) - x0)
    val height = max(1, even((min(bottom, source.height.toDouble()) - place.f) / place.e) - y0)
    val whole = inside.left == 0f && inside.top == 0f &&
        inside.right == source.width.toFloat() && inside.bottom == source.height.toFloat()
    val shown = if (whole && width == source.width && height == source.height) source
    else resized(source, inside, width, height, how.filter)
    x0 = min(x0, place.width - width)
    y0 = min(y0, place.height - height)
    return finished(shown, x0, y0, place, how)
}

/** Puts a picture into its frame, inverts it and orders its channels as the model wants it. */
private fun finished(shown: Pixels, x0: Int, y0: Int, place: Placement, how: PictureInput): Pixels {
    val n = shown.channels
    val found = ByteArray(place.width * place.height * n)
    for (y in 0 until place.height) for (x in 0 until place.width) for (c in 0 until n) {
        val inside = x >= x0 && y >= y0 && x < x0 + shown.width && y < y0 + shown.height
        val value = if (inside) shown.at(x - x0, y - y0, c) else how.fill
        val channel = if (how.bgr && n == 3) 2 - c else c
        found[(y * place.width + x) * n + channel] = (if (how.invert) 255 - value else value).toByte()
    }
    return Pixels(place.width, place.height, n, found)
}

/** The picture in as many channels as the model takes; colours are taken away where it wants grey ones. */
private fun coloured(picture: Pixels, how: PictureInput): Pixels =
    coloured(if (how.grey) coloured(picture, 1) else picture, how.channels)

/** Grey, RGB or RGBA. */
fun coloured(picture: Pixels, channels: Int): Pixels {
    if (picture.channels == channels) return picture
    val count = picture.width * picture.height
    val found = ByteArray(count * channels)
    for (pixel in 0 until count) for (c in 0 until channels) {
        val from = pixel * picture.channels
        val value = when {
            c == 3 -> 255
            channels == 1 -> luma(picture.data, from, picture.channels)
            else -> picture.data[from + min(c, picture.channels - 1)].toInt() and 255
        }
        found[pixel * channels + c] = value.toByte()
    }
    return Pixels(picture.width, picture.height, channels, found)
}

private fun luma(data: ByteArray, at: Int, channels: Int): Int {
    if (channels == 1) return data[at].toInt() and 255
    val red = data[at].toInt() and 255
    val green = data[at + 1].toInt() and 255
    val blue = data[at + 2].toInt() and 255
    return (19595 * red + 38470 * green + 7471 * blue + 32768) shr 16
}

/** Brings a picture to the model's size, colours and values. */
fun feed(picture: Pixels, plan: Plan, files: Files): Fed {
    val how = plan.picture ?: error("the model takes no picture")
    val keep = how.resize == Resize.KEEP
    val width = side(how.width, picture.width, keep)
    val height = side(how.height, picture.height, keep)
    val place = placed(picture, width, height, how)
    val pixels = seen(picture, place, how)
    val port = plan.inputs[how.input]
    val bytes = port.type.bytes
    val table = Tensor.read(files.need(how.table), port.type)
    val dims = dimsOf(port.dims, how, width, height)
    val data = ByteArray(dims.fold(bytes) { product, size -> product * size })
    val one = width * height * how.channels
    for (y in 0 until height) for (x in 0 until width) for (c in 0 until how.channels) {
        val from = (c * 256 + pixels.at(x, y, c)) * bytes
        val to = if (how.channelsFirst) (c * height + y) * width + x else (y * width + x) * how.channels + c
        System.arraycopy(table.data, from, data, to * bytes, bytes)
    }
    for (copy in 1 until data.size / (one * bytes)) System.arraycopy(data, 0, data, copy * one * bytes, one * bytes)
    return Fed(Tensor(port.type, dims, data), place)
}

/** The input's sizes with those of the picture in place of any. */
private fun dimsOf(dims: IntArray, how: PictureInput, width: Int, height: Int): IntArray {
    val found = IntArray(dims.size) { if (dims[it] < 0) 1 else dims[it] }
    found[how.heightAxis] = height
    found[how.heightAxis + 1] = width
    return found
}
