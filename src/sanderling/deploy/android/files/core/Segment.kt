package deployed

/** The class of each pixel, at the output's own resolution. */
fun mask(task: Segment, plan: Plan, outputs: List<Tensor>): Mask {
    val output = outputs[task.output]
    val values = output.real(plan.outputs[task.output])
    var dims = output.dims.toList()
    while (dims.size > 3 && dims[0] == 1) dims = dims.drop(1)
    if (dims.size == 3 && !task.classesFirst && dims[0] == 1 && task.kind != MaskKind.CLASSES) dims = dims.drop(1)
    require(dims.size == 2 || dims.size == 3) { "a mask of shape ${output.dims.joinToString("×")} is not known" }
    val first = if (dims.size == 3 && task.classesFirst) 1 else 0
    val (height, width) = listOf(dims[first], dims[first + 1])
    val count = if (dims.size == 2) 1 else if (first == 1) dims[0] else dims[2]
    fun at(pixel: Int, number: Int) =
        if (first == 1) values[number * width * height + pixel] else values[pixel * count + number]
    val cut = if (task.kind == MaskKind.LOGIT) 0.0 else task.cut
    val classes = IntArray(width * height) { pixel ->
        when {
            task.kind == MaskKind.MAP -> Math.rint(at(pixel, 0)).coerceIn(0.0, 65535.0).toInt()
            task.kind == MaskKind.CLASSES && count > 1 -> best(count) { at(pixel, it) }
            else -> if (at(pixel, count - 1) > cut) 1 else 0
        }
    }
    return Mask(width, height, classes, task.background)
}

private fun best(count: Int, at: (Int) -> Double): Int {
    var found = 0
    for (number in 1 until count) if (at(number) > at(found)) found = number
    return found
}

fun segmented(
    task: Segment, plan: Plan, outputs: List<Tensor>, fed: Fed?, picture: Pixels?, labels: List<String>,
): Answer {
    val mask = mask(task, plan, outputs)
    val areas = HashMap<Int, Int>()
    var total = 0
    for (y in 0 until mask.height) for (x in 0 until mask.width) {
        if (!shows(x, y, mask, fed, picture)) continue
        val number = mask.classes[y * mask.width + x]
        areas[number] = (areas[number] ?: 0) + 1
        total++
    }
    val found = areas.entries.map { Named(it.key, named(labels, it.key), it.value.toDouble() / total) }
        .filter { it.score >= task.least }.sortedByDescending { it.score }
    return Answer(
        found.map { "${it.label}  ${share(it.score)}" }, classes = found, mask = mask,
        placement = fed?.placement,
    )
}

/** Whether a pixel of the mask lies in the picture, and not in a letterbox's border. */
private fun shows(column: Int, row: Int, mask: Mask, fed: Fed?, picture: Pixels?): Boolean {
    if (fed == null || picture == null) return true
    val place = fed.placement
    val x = (column + 0.5) * place.width / mask.width
    val y = (row + 0.5) * place.height / mask.height
    return place.x(x, y) >= 0 && place.y(x, y) >= 0 &&
        place.x(x, y) <= picture.width && place.y(x, y) <= picture.height
}
