package deployed

/**
 * What came of the stored examples: the largest difference of an output, in units of what is allowed, and
 * where it was.
 */
class Verdict(val examples: Int, val worst: Double, val output: String, val milliseconds: Double) {
    val correct get() = examples > 0 && worst <= 1

    val words get() = if (correct) "correct on this device: $examples examples, the largest difference is " +
        "${(100 * worst).toInt()} % of what is allowed"
    else "wrong on this device: output $output is off by ${"%.3g".format(worst)} times what is allowed"
}

/**
 * Runs the stored examples and compares the answers with those of LiteRT on the machine where this was made.
 *
 * A model that remembers something is opened anew for every example.
 */
fun selfTest(plan: Plan, files: Files, allowed: DoubleArray, open: () -> Runner): Verdict {
    var worst = 0.0
    var output = plan.outputs.firstOrNull()?.name ?: ""
    val times = ArrayList<Double>()
    var runner = open()
    try {
        for (number in plan.examples.indices) {
            if (number > 0 && plan.keepsState) {
                runner.close()
                runner = open()
            }
            val inputs = plan.inputs.mapIndexed { i, port -> stored(plan, files, "${number}_in_$i", port.type) }
            val begin = System.nanoTime()
            val found = runner.run(inputs)
            times.add((System.nanoTime() - begin) / 1e6)
            plan.outputs.forEachIndexed { i, port ->
                val off = difference(found[i], stored(plan, files, "${number}_out_$i", port.type)) / allowed[i]
                if (off > worst || off.isNaN()) {
                    worst = if (off.isNaN()) Double.POSITIVE_INFINITY else off
                    output = port.name
                }
            }
        }
    } finally {
        runner.close()
    }
    return Verdict(plan.examples.size, worst, output, times.minOrNull() ?: 0.0)
}

fun stored(plan: Plan, files: Files, name: String, type: Type): Tensor =
    Tensor.read(files.need("${plan.file}/$name.bin"), type)
