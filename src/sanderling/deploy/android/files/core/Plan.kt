package deployed

/** An input or output: [dims] hold -1 where any size will do; [scale] is 0 where integers mean themselves. */
class Port(val name: String, val type: Type, val dims: IntArray, val scale: Double, val zeroPoint: Int)

/**
 * How a picture becomes the model's input.
 *
 * [height] and [width] are -1 where the model takes any size. What a pixel of 0..255 becomes is looked up in
 * the table (a file of assets) in which mean, standard deviation and quantization have been worked in.
 */
class PictureInput(
    val input: Int,
    val height: Int,
    val width: Int,
    val channels: Int,
    val channelsFirst: Boolean,
    val heightAxis: Int,
    val resize: Resize,
    val central: Double,
    val filter: Filter,
    val fill: Int,
    val grey: Boolean,
    val bgr: Boolean,
    val invert: Boolean,
    val table: String,
)

enum class Resize { STRETCH, LETTERBOX, CROP, KEEP }

enum class Filter { BILINEAR, BICUBIC, NEAREST, LANCZOS }

/** What the outputs mean. */
sealed class Task

class Classify(val output: Int, val scores: Scores, val top: Int, val least: Double) : Task()

enum class Scores { AUTO, PROBABILITIES, LOGITS, INDEPENDENT }

class Segment(
    val output: Int, val kind: MaskKind, val classesFirst: Boolean, val cut: Double, val background: Int,
    val least: Double,
) : Task()

enum class MaskKind { PROBABILITY, LOGIT, CLASSES, MAP }

class Detect(
    val format: BoxFormat, val boxes: Int, val scores: Int, val classes: Int, val count: Int,
    val exponential: Boolean, val logits: Boolean, val background: Boolean, val objectness: Boolean,
    val transposed: Boolean, val pixels: Boolean?, val score: Double, val most: Int, val anchors: String,
) : Task()

enum class BoxFormat { LISTED, ANCHORS, GRID }

class Landmarks(
    val output: Int, val perPoint: Int, val yFirst: Boolean, val shares: Boolean?, val confidence: Int,
    val presence: Int, val score: Double, val shown: Int, val thing: String, val chains: List<IntArray>,
    val names: Map<Int, String>,
) : Task()

/** Outputs that are shown as numbers. */
class Numbers(val first: Int) : Task()

/** Which part of a picture the model sees: around what the detector finds. */
class Crop(
    val scale: Double, val square: Boolean, val level: IntArray, val upright: Boolean, val around: IntArray,
    val shiftX: Double, val shiftY: Double, val score: Double, val most: Int,
)

/** All that is known of a model. Assets are named after it. */
class Plan(
    val file: String,
    val inputs: List<Port>,
    val outputs: List<Port>,
    val picture: PictureInput?,
    val task: Task,
    val labels: String,
    val keepsState: Boolean,
    val examples: List<String>,
    val tolerance: DoubleArray,
    val gpuTolerance: DoubleArray,
    val signatureInputs: IntArray,
    val signatureOutputs: IntArray,
)

/** Where the assets are: the app's, a folder in a test. */
fun interface Files {
    /** The content of a file, null where there is none. */
    fun read(name: String): ByteArray?
}

fun Files.need(name: String): ByteArray = read(name) ?: error("the file $name is missing")

/** Something that runs the model: stored arrays in the order of its inputs to those of its outputs. */
interface Runner : AutoCloseable {
    val name: String

    fun run(inputs: List<Tensor>): List<Tensor>
}
