package deployed

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test
import org.junit.runner.RunWith

/** `./gradlew connectedAndroidTest`: the stored examples, on a phone that is connected, or an emulator. */
@RunWith(AndroidJUnit4::class)
class SelfTestOnDevice {
    private val context = InstrumentationRegistry.getInstrumentation().targetContext
    private val files = Assets(context.assets)

    @Test
    fun theCpuAnswersRight() {
        for (plan in listOfNotNull(Plans.model, Plans.detector)) {
            val verdict = selfTest(plan, files, plan.tolerance) { CpuRunner(context.assets, plan) }
            assertTrue(verdict.words, verdict.correct)
        }
    }

    @Test
    fun whatIsUsedAnswersRight() {
        val chosen = choose(context, Plans.model)
        assertTrue(chosen.words.joinToString("\n"), chosen.verdict.correct)
    }

    @Test
    fun aPictureGoesInAsItDidElsewhere() {
        val picture = Plans.model.picture
        val file = files.read("${Plans.model.file}/0.png")
        assumeTrue("no example is a picture", picture != null && file != null)
        if (picture == null || file == null) return
        val bitmap = android.graphics.BitmapFactory.decodeByteArray(file, 0, file.size)
        val fed = feed(pixels(bitmap), Plans.model, files).tensor
        val stored = stored(Plans.model, files, "0_in_${picture.input}", fed.type)
        assertArrayEquals(stored.data, fed.data)
    }
}
