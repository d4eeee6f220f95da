package deployed

/** A model with what is known of it; with a detector that finds what it is to see, where it has one. */
class Session(
    private val plan: Plan, private val files: Files, private val runner: Runner,
    private val detector: Session? = null, private val crop: Crop? = null,
) : AutoCloseable {
    /** The time of the last call of the model, in milliseconds. */
    var milliseconds = 0.0
        private set

    /** Answers a picture: once, or for every part that the detector finds in it. */
    fun look(picture: Pixels): List<Answer> {
        milliseconds = 0.0
        if (detector == null || crop == null) return listOf(look(picture, null, picture))
        val how = plan.picture ?: error("the model takes no picture")
        val colours = coloured(picture, 3)
        val places = crops(detector.look(colours).first().boxes, crop, how.width, how.height)
        milliseconds += detector.milliseconds
        return places.map { look(it.cut(colours), it, picture) }
    }

    private fun look(part: Pixels, outer: Placement?, whole: Pixels): Answer {
        val inner = feed(part, plan, files)
        val fed = if (outer == null) inner else Fed(inner.tensor, inner.placement.within(outer))
        val outputs = timed(inputs(fed.tensor))
        return answer(plan, outputs, fed, whole, files)
    }

    /** The picture's input, and the first example's values for all others. */
    private fun inputs(picture: Tensor): List<Tensor> = plan.inputs.mapIndexed { position, port ->
        if (position == plan.picture?.input) picture
        else Tensor.read(files.need("${plan.file}/0_in_$position.bin"), port.type)
    }

    private fun timed(inputs: List<Tensor>): List<Tensor> {
        val begin = System.nanoTime()
        val outputs = runner.run(inputs)
        milliseconds += (System.nanoTime() - begin) / 1e6
        return outputs
    }

    override fun close() {
        runner.close()
        detector?.close()
    }
}
