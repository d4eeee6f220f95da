package deployed

/** A class and how sure the model is of it. */
class Named(val number: Int, val label: String, val score: Double)

/** A place in the picture; points that the model does not see lie anywhere. */
class Point(val x: Double, val y: Double, val seen: Boolean)

/** An object: its place in pixels of the picture. */
class Box(
    val left: Double, val top: Double, val right: Double, val bottom: Double, val score: Double,
    val number: Int, val label: String, val points: List<Point>,
)

/** The class of each part of the input, rows from the top; it covers the whole input. */
class Mask(val width: Int, val height: Int, val classes: IntArray, val background: Int)

/** What the model says of a picture. */
class Answer(
    val lines: List<String>,
    val classes: List<Named> = listOf(),
    val boxes: List<Box> = listOf(),
    val points: List<Point> = listOf(),
    val chains: List<IntArray> = listOf(),
    val mask: Mask? = null,
    val placement: Placement? = null,
)

fun share(value: Double): String {
    val percent = 100 * value
    return if (percent < 10) "%.1f %%".format(percent) else "%.0f %%".format(percent)
}

fun named(labels: List<String>, number: Int): String =
    labels.getOrNull(number)?.takeIf { it.isNotEmpty() } ?: "class $number"

fun labelsOf(plan: Plan, files: Files): List<String> =
    if (plan.labels.isEmpty()) listOf() else files.need(plan.labels).decodeToString().trimEnd('\n').split('\n')

/** Reads the outputs of one run. */
fun answer(plan: Plan, outputs: List<Tensor>, fed: Fed?, picture: Pixels?, files: Files): Answer {
    val labels = labelsOf(plan, files)
    return when (val task = plan.task) {
        is Classify -> classified(task, plan, outputs, labels)
        is Segment -> segmented(task, plan, outputs, fed, picture, labels)
        is Detect -> detected(task, plan, outputs, fed, picture, labels, files)
        is Landmarks -> marked(task, plan, outputs, fed)
        is Numbers -> Answer(plan.outputs.indices.map { numbers(task, plan.outputs[it], outputs[it]) })
    }
}

private fun numbers(task: Numbers, port: Port, output: Tensor): String {
    val values = output.real(port)
    val first = values.take(task.first).joinToString("  ") { "%.4g".format(it) }
    return "${port.name} [${output.dims.joinToString("×")}]  $first" + if (values.size > task.first) "  …" else ""
}
