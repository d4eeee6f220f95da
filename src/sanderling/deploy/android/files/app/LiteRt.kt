package deployed

import android.content.Context
import android.content.res.AssetManager
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import java.io.FileInputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.MappedByteBuffer
import java.nio.channels.FileChannel
import org.tensorflow.lite.Interpreter

/** The app's assets. */
class Assets(private val assets: AssetManager) : Files {
    override fun read(name: String): ByteArray? =
        try {
            assets.open(name).use { it.readBytes() }
        } catch (missing: IOException) {
            null
        }
}

/** LiteRT's interpreter on the CPU: every type of numbers, and inputs of any size. */
class CpuRunner(assets: AssetManager, private val plan: Plan) : Runner {
    override val name = "CPU"
    private val interpreter = Interpreter(
        mapped(assets, "${plan.file}.tflite"),
        Interpreter.Options().setNumThreads(threads()),
    )

    override fun run(inputs: List<Tensor>): List<Tensor> {
        inputs.forEachIndexed { i, each ->
            if (!interpreter.getInputTensor(i).shape().contentEquals(each.dims)) interpreter.resizeInput(i, each.dims)
        }
        // Without a buffer of ours an output stays in the interpreter, whose size is known after the run.
        val places = HashMap<Int, Any?>()
        for (i in plan.outputs.indices) places[i] = null
        interpreter.runForMultipleInputsOutputs(inputs.map { direct(it.data) }.toTypedArray<Any>(), places)
        return plan.outputs.mapIndexed { i, port ->
            val output = interpreter.getOutputTensor(i)
            val data = ByteArray(output.numBytes())
            output.asReadOnlyBuffer().get(data)
            Tensor(port.type, output.shape(), data)
        }
    }

    override fun close() = interpreter.close()
}

/** LiteRT's accelerator on the GPU: floats of fixed sizes. It is opened for the GPU alone, or not at all. */
class GpuRunner(assets: AssetManager, private val plan: Plan) : Runner {
    override val name = "GPU"
    private val model =
        CompiledModel.create(assets, "${plan.file}.tflite", CompiledModel.Options(Accelerator.GPU))
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    override fun run(inputs: List<Tensor>): List<Tensor> {
        plan.signatureInputs.forEachIndexed { place, position ->
            this.inputs[place].writeFloat(floats(inputs[position].data))
        }
        model.run(this.inputs, outputs)
        val found = arrayOfNulls<Tensor>(plan.outputs.size)
        plan.signatureOutputs.forEachIndexed { place, position ->
            val data = bytes(outputs[place].readFloat())
            found[position] = Tensor(Type.FLOAT32, plan.outputs[position].dims, data)
        }
        return found.map { it ?: error("the GPU gives no such output") }
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        model.close()
    }
}

/** Why the GPU cannot run a model, "" when it may. */
fun gpuReason(plan: Plan): String {
    val ports = plan.inputs + plan.outputs
    return when {
        ports.any { it.type != Type.FLOAT32 } -> "its numbers are not all floats"
        ports.any { port -> port.dims.any { it < 0 } } -> "it takes any size"
        plan.keepsState -> "it remembers something from one run to the next"
        else -> ""
    }
}

/** What runs a model on this device, and why. */
class Chosen(val open: () -> Runner, val verdict: Verdict, val words: List<String>)

/**
 * Tries the stored examples on the CPU and on the GPU. The GPU is used where it answers right and is faster;
 * where it is not used the words say why.
 */
fun choose(context: Context, plan: Plan): Chosen {
    val files = Assets(context.assets)
    val cpu = { CpuRunner(context.assets, plan) }
    val gpu = { GpuRunner(context.assets, plan) }
    val onCpu = selfTest(plan, files, plan.tolerance, cpu)
    val words = arrayListOf("CPU: ${onCpu.words} (${time(onCpu)})")
    val reason = gpuReason(plan)
    if (reason.isNotEmpty()) return Chosen(cpu, onCpu, words + "GPU: not used, since $reason")
    val onGpu = try {
        selfTest(plan, files, plan.gpuTolerance, gpu)
    } catch (failed: Exception) {
        return Chosen(cpu, onCpu, words + "GPU: not used, since LiteRT says: ${failed.message}")
    }
    words.add("GPU: ${onGpu.words} (${time(onGpu)})")
    val better = onGpu.correct && (onGpu.milliseconds < onCpu.milliseconds || !onCpu.correct)
    words.add("used here: " + if (better) "GPU" else "CPU")
    return if (better) Chosen(gpu, onGpu, words) else Chosen(cpu, onCpu, words)
}

private fun threads(): Int =
    if (Plans.THREADS > 0) Plans.THREADS else minOf(4, Runtime.getRuntime().availableProcessors())

private fun time(verdict: Verdict) = "%.1f ms".format(verdict.milliseconds)

private fun mapped(assets: AssetManager, name: String): MappedByteBuffer =
    assets.openFd(name).use { file ->
        FileInputStream(file.fileDescriptor).use {
            it.channel.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
        }
    }

private fun direct(data: ByteArray): ByteBuffer =
    ByteBuffer.allocateDirect(data.size).order(ByteOrder.nativeOrder()).put(data).apply { rewind() }

private fun floats(data: ByteArray): FloatArray {
    val buffer = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
    return FloatArray(buffer.remaining()).also { buffer.get(it) }
}

private fun bytes(values: FloatArray): ByteArray {
    val buffer = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
    buffer.asFloatBuffer().put(values)
    return buffer.array()
}
