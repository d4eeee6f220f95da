package deployed

import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Matrix
import android.graphics.Paint

private fun colour(number: Int): Int = Color.HSVToColor(floatArrayOf((number * 137.5f + 210f) % 360f, 0.75f, 0.95f))

/** A copy of a picture with the answers drawn on it. */
fun drawn(picture: Bitmap, answers: List<Answer>): Bitmap {
    val copy = picture.copy(Bitmap.Config.ARGB_8888, true)
    val canvas = Canvas(copy)
    val line = maxOf(2f, maxOf(copy.width, copy.height) / 250f)
    for (answer in answers) {
        answer.mask?.let { mask -> answer.placement?.let { draw(canvas, mask, it) } }
        for (box in answer.boxes) draw(canvas, box, line)
        draw(canvas, answer, line)
    }
    return copy
}

private fun draw(canvas: Canvas, mask: Mask, place: Placement) {
    val colours = IntArray(mask.classes.size) {
        val number = mask.classes[it]
        if (number == mask.background) Color.TRANSPARENT else (colour(number) and 0xffffff) or (0x80 shl 24)
    }
    val bitmap = Bitmap.createBitmap(colours, mask.width, mask.height, Bitmap.Config.ARGB_8888)
    val across = place.width.toDouble() / mask.width
    val down = place.height.toDouble() / mask.height
    val numbers = doubleArrayOf(
        place.a * across, place.b * down, place.c, place.d * across, place.e * down, place.f, 0.0, 0.0, 1.0,
    )
    val matrix = Matrix().apply { setValues(FloatArray(9) { numbers[it].toFloat() }) }
    canvas.drawBitmap(bitmap, matrix, Paint(Paint.FILTER_BITMAP_FLAG))
}

private fun draw(canvas: Canvas, box: Box, line: Float) {
    val frame = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeWidth = line
        color = colour(box.number)
    }
    canvas.drawRect(box.left.toFloat(), box.top.toFloat(), box.right.toFloat(), box.bottom.toFloat(), frame)
    val text = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        textSize = 9 * line
        color = colour(box.number)
    }
    val words = "${box.label} ${share(box.score)}"
    canvas.drawText(words, box.left.toFloat(), maxOf(text.textSize, box.top.toFloat() - line), text)
    frame.style = Paint.Style.FILL
    for (point in box.points) canvas.drawCircle(point.x.toFloat(), point.y.toFloat(), 1.5f * line, frame)
}

private fun draw(canvas: Canvas, answer: Answer, line: Float) {
    val paint = Paint(Paint.ANTI_ALIAS_FLAG).apply { strokeWidth = line / 2 }
    answer.chains.forEachIndexed { number, chain ->
        paint.color = colour(number)
        for (i in 1 until chain.size) {
            val from = answer.points[chain[i - 1]]
            val to = answer.points[chain[i]]
            if (from.seen && to.seen)
                canvas.drawLine(from.x.toFloat(), from.y.toFloat(), to.x.toFloat(), to.y.toFloat(), paint)
        }
    }
    paint.color = colour(0)
    val radius = if (answer.points.size > 100) line / 2 else line
    for (point in answer.points)
        if (point.seen) canvas.drawCircle(point.x.toFloat(), point.y.toFloat(), radius, paint)
}
