package deployed

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Matrix
import android.media.ExifInterface
import android.net.Uri
import java.io.IOException

private const val MOST_SIDE = 2048

/** Opens a picture that the user chose, upright; what is very large is made smaller. */
fun opened(resolver: ContentResolver, uri: Uri): Bitmap {
    val bounds = BitmapFactory.Options().apply { inJustDecodeBounds = true }
    stream(resolver, uri).use { BitmapFactory.decodeStream(it, null, bounds) }
    val options = BitmapFactory.Options().apply { inSampleSize = 1 }
    while (maxOf(bounds.outWidth, bounds.outHeight) / options.inSampleSize > MOST_SIDE) options.inSampleSize *= 2
    val bitmap = stream(resolver, uri).use { BitmapFactory.decodeStream(it, null, options) }
        ?: throw IOException("this is no picture")
    val turn = stream(resolver, uri).use { turned(ExifInterface(it)) }
    if (turn.isIdentity) return bitmap
    return Bitmap.createBitmap(bitmap, 0, 0, bitmap.width, bitmap.height, turn, true)
}

private fun stream(resolver: ContentResolver, uri: Uri) =
    resolver.openInputStream(uri) ?: throw IOException("the picture cannot be opened")

/** How a picture is to be turned to stand upright. */
private fun turned(exif: ExifInterface): Matrix {
    val found = Matrix()
    when (exif.getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)) {
        ExifInterface.ORIENTATION_ROTATE_90 -> found.postRotate(90f)
        ExifInterface.ORIENTATION_ROTATE_180 -> found.postRotate(180f)
        ExifInterface.ORIENTATION_ROTATE_270 -> found.postRotate(270f)
        ExifInterface.ORIENTATION_FLIP_HORIZONTAL -> found.postScale(-1f, 1f)
        ExifInterface.ORIENTATION_FLIP_VERTICAL -> found.postScale(1f, -1f)
    }
    return found
}

/** Red, green and blue of every pixel; what is transparent shows white. */
fun pixels(bitmap: Bitmap): Pixels {
    val colours = IntArray(bitmap.width * bitmap.height)
    bitmap.getPixels(colours, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
    val data = ByteArray(3 * colours.size)
    colours.forEachIndexed { pixel, colour ->
        val alpha = colour ushr 24
        for (channel in 0 until 3) {
            val value = (colour shr (16 - 8 * channel)) and 255
            data[3 * pixel + channel] = (255 + (value - 255) * alpha / 255).toByte()
        }
    }
    return Pixels(bitmap.width, bitmap.height, 3, data)
}
