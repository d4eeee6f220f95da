package deployed

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs
import kotlin.math.max

/** Types of elements as LiteRT stores them, with their bytes. */
enum class Type(val bytes: Int) {
    FLOAT32(4), INT8(1), UINT8(1), INT16(2), INT32(4), INT64(8), BOOL(1);

    val isFloat get() = this == FLOAT32
}

/** An array as the model stores it: little-endian, the last axis varies fastest. */
class Tensor(val type: Type, val dims: IntArray, val data: ByteArray) {
    private val buffer = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN)
    val size get() = data.size / type.bytes

    /** The stored number at a position. */
    fun at(index: Int): Double = when (type) {
        Type.FLOAT32 -> buffer.getFloat(4 * index).toDouble()
        Type.INT8 -> data[index].toDouble()
        Type.UINT8, Type.BOOL -> (data[index].toInt() and 255).toDouble()
        Type.INT16 -> buffer.getShort(2 * index).toDouble()
        Type.INT32 -> buffer.getInt(4 * index).toDouble()
        Type.INT64 -> buffer.getLong(8 * index).toDouble()
    }

    /** What the stored numbers mean; NaN counts as zero, and nothing lies beyond ±1e12. */
    fun real(port: Port): DoubleArray = DoubleArray(size) { index ->
        val stored = at(index)
        val value = if (port.scale == 0.0 || type.isFloat) stored
        else ((stored - port.zeroPoint).toFloat() * port.scale.toFloat()).toDouble()
        if (value.isNaN()) 0.0 else value.coerceIn(-1e12, 1e12)
    }

    companion object {
        /** Reads a file of examples/: the number of axes, their sizes (32-bit integers), the elements. */
        fun read(file: ByteArray, type: Type): Tensor {
            val head = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN)
            val dims = IntArray(head.int) { head.int }
            return Tensor(type, dims, file.copyOfRange(head.position(), file.size))
        }
    }
}

/**
 * The largest difference of two values: in steps for integers, as a share of the largest right value for
 * floats; infinity where there are more or fewer, or only one of the two is a number. Sizes are counted and not
 * compared axis by axis: LiteRT's interpreter for Java tells the shape of an output that depends on the input's
 * values as it was before the run.
 */
fun difference(mine: Tensor, wanted: Tensor): Double {
    if (mine.size != wanted.size) return Double.POSITIVE_INFINITY
    var off = 0.0
    var largest = 0.0
    for (index in 0 until wanted.size) {
        val a = mine.at(index)
        val b = wanted.at(index)
        if (a.isFinite() && b.isFinite()) {
            off = max(off, abs(a - b))
            largest = max(largest, abs(b))
        } else if (a != b && !(a.isNaN() && b.isNaN())) return Double.POSITIVE_INFINITY
    }
    if (!wanted.type.isFloat || off == 0.0) return off
    return if (largest > 0) off / largest else Double.POSITIVE_INFINITY
}
