package deployed

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.os.Bundle
import android.widget.Button
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import java.util.concurrent.Executors

private const val CHOOSE = 1

/** Answers pictures that the user chooses, after it made sure that this device computes right. */
class MainActivity : Activity() {
    private val worker = Executors.newSingleThreadExecutor()
    private val files by lazy { Assets(assets) }
    private lateinit var image: ImageView
    private lateinit var words: TextView
    private var session: Session? = null  // of the worker's thread

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        image = ImageView(this).apply { adjustViewBounds = true }
        words = TextView(this).apply {
            textSize = 16f
            setTextIsSelectable(true)
        }
        val column = LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            fitsSystemWindows = true
            setPadding(32, 32, 32, 32)
        }
        if (Plans.model.picture != null) {
            column.addView(button("Choose a picture") { choosePicture() })
            files.read("${Plans.model.file}/0.png")?.let { column.addView(button("Sample picture") { sample(it) }) }
        }
        column.addView(button("Self-test") { test() })
        column.addView(image)
        column.addView(words)
        setContentView(ScrollView(this).apply { addView(column) })
        test()
    }

    private fun button(title: String, act: () -> Unit) = Button(this).apply {
        text = title
        setOnClickListener { act() }
    }

    /** Runs on the worker; what it says, or fails with, is shown. */
    private fun work(doing: String, act: () -> List<String>) {
        words.text = doing
        worker.execute {
            val said = try {
                act().joinToString("\n")
            } catch (failed: Exception) {
                "failed: ${failed.message ?: failed.javaClass.simpleName}"
            }
            runOnUiThread { words.text = said }
        }
    }

    private fun test() = work("testing this device …") {
        session?.close()
        session = null
        val chosen = choose(this, Plans.model)
        val words = ArrayList(chosen.words)
        var detector: Session? = null
        Plans.detector?.let { plan ->
            val found = choose(this, plan)
            detector = Session(plan, files, found.open())
            words.addAll(found.words.map { "detector, $it" })
        }
        session = Session(Plans.model, files, chosen.open(), detector, Plans.crop)
        words + listOf(Plans.WHY).filter { it.isNotEmpty() }
    }

    private fun choosePicture() {
        val intent = Intent(Intent.ACTION_GET_CONTENT).setType("image/*").addCategory(Intent.CATEGORY_OPENABLE)
        startActivityForResult(Intent.createChooser(intent, "Choose a picture"), CHOOSE)
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        super.onActivityResult(request, result, data)
        val uri = data?.data
        if (request == CHOOSE && result == RESULT_OK && uri != null) look { opened(contentResolver, uri) }
    }

    private fun sample(file: ByteArray) = look { BitmapFactory.decodeByteArray(file, 0, file.size) }

    private fun look(open: () -> Bitmap) = work("looking …") {
        val picture = open()
        val found = session ?: error("the model is not loaded: run the self-test")
        val answers = found.look(pixels(picture))
        val shown = drawn(picture, answers)
        runOnUiThread { image.setImageBitmap(shown) }
        if (answers.isEmpty()) listOf("nothing found")
        else answers.flatMap { it.lines } + "%.1f ms".format(found.milliseconds)
    }

    override fun onDestroy() {
        super.onDestroy()
        worker.execute { session?.close() }
        worker.shutdown()
    }
}
