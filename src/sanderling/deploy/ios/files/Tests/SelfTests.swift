import XCTest

@testable import Deployed

/// The stored examples: `swift test` on a Mac, or in Xcode on a phone that is connected.
final class SelfTests: XCTestCase {
    private let files = Files()

    func testTheCpuAnswersRight() throws {
        for plan in [Plans.model, Plans.detector].compactMap({ $0 }) {
            let verdict = try selfTest(plan, files, plan.tolerance) {
                try LiteRtRunner(plan: plan, files: files, gpu: false)
            }
            XCTAssert(verdict.correct, verdict.words)
        }
    }

    func testWhatIsUsedAnswersRight() throws {
        let chosen = try choose(Plans.model, files)
        XCTAssert(chosen.verdict.correct, chosen.words.joined(separator: "\n"))
    }

    func testAPictureGoesInAsItDidElsewhere() throws {
        guard let how = Plans.model.picture, let file = files.read("\(Plans.model.file)/0.png") else {
            throw XCTSkip("no example is a picture")
        }
        let fed = try feed(pixels(opened(Data(file))), Plans.model, files).tensor
        let wanted = try stored(Plans.model, files, "0_in_\(how.input)", fed.type)
        XCTAssertEqual(fed.dims, wanted.dims)
        let wrong = (0..<fed.size).filter { fed.at($0) != wanted.at($0) }.count
        XCTAssertEqual(wrong, 0, "of \(fed.size) numbers")
    }
}
