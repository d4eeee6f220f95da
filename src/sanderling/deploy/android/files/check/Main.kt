package deployed

import java.io.File
import javax.imageio.ImageIO

/**
 * The app's own arithmetic on a computer: pictures in, answers out as JSON lines. The model runs in another
 * process, which reads `run NAME` and the arrays in a folder, and answers with arrays and an empty line.
 *
 * Arguments: the folder of assets, the folder for arrays, then pictures; `--whole` before them: with the
 * detector, where there is one.
 */
fun main(arguments: Array<String>) = answers(Plans.model, Plans.detector, Plans.crop, arguments)

fun answers(plan: Plan, detectorPlan: Plan?, crop: Crop?, arguments: Array<String>) {
    val assets = File(arguments[0])
    val exchange = File(arguments[1])
    val files = Files { name -> File(assets, name).takeIf { it.exists() }?.readBytes() }
    val whole = arguments.getOrNull(2) == "--whole"
    val detector = detectorPlan?.takeIf { whole }?.let { Session(it, files, Elsewhere(it, exchange)) }
    val session = Session(plan, files, Elsewhere(plan, exchange), detector, crop.takeIf { whole })
    for (name in arguments.drop(if (whole) 3 else 2)) {
        val answers = session.look(pixels(File(name)))
        println("answers " + answers.joinToString(",", "[", "]") { json(it) })
    }
}

/** Runs a model in the process that reads what this one prints. */
private class Elsewhere(private val plan: Plan, private val exchange: File) : Runner {
    override val name = "elsewhere"

    override fun run(inputs: List<Tensor>): List<Tensor> {
        inputs.forEachIndexed { i, each -> File(exchange, "in_$i.bin").writeBytes(packed(each)) }
        println("run ${plan.file}")
        readln()
        return plan.outputs.mapIndexed { i, port -> Tensor.read(File(exchange, "out_$i.bin").readBytes(), port.type) }
    }

    override fun close() = Unit
}

private fun packed(tensor: Tensor): ByteArray {
    val head = java.nio.ByteBuffer.allocate(4 * (tensor.dims.size + 1)).order(java.nio.ByteOrder.LITTLE_ENDIAN)
    head.putInt(tensor.dims.size)
    for (size in tensor.dims) head.putInt(size)
    return head.array() + tensor.data
}

private fun pixels(file: File): Pixels {
    val image = ImageIO.read(file)
    val data = ByteArray(3 * image.width * image.height)
    for (y in 0 until image.height) for (x in 0 until image.width) for (c in 0 until 3) {
        data[3 * (y * image.width + x) + c] = (image.getRGB(x, y) shr (16 - 8 * c)).toByte()
    }
    return Pixels(image.width, image.height, 3, data)
}

fun json(answer: Answer): String {
    val classes = answer.classes.joinToString(",") { "[${it.number},${it.score}]" }
    val boxes = answer.boxes.joinToString(",") { box ->
        val points = box.points.joinToString("") { ",${it.x},${it.y}" }
        "[${box.number},${box.score},${box.left},${box.top},${box.right},${box.bottom}$points]"
    }
    val points = answer.points.joinToString(",") { "[${it.x},${it.y}]" }
    return """{"classes":[$classes],"boxes":[$boxes],"points":[$points]}"""
}
