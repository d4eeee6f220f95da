import Deployed
import PhotosUI
import SwiftUI

/// Answers pictures that the user chooses, after it made sure that this device computes right.
struct ContentView: View {
    @StateObject private var looking = Looking()
    @State private var chosen: PhotosPickerItem?

    var body: some View {
        ScrollView {
            VStack(alignment: .leading, spacing: 16) {
                if Plans.model.picture != nil {
                    PhotosPicker("Choose a picture", selection: $chosen, matching: .images)
                    if looking.hasSample { Button("Sample picture") { looking.sample() } }
                }
                Button("Self-test") { looking.test() }
                if let image = looking.image {
                    Image(decorative: image, scale: 1).resizable().scaledToFit()
                }
                Text(looking.words).textSelection(.enabled)
            }
            .padding()
            .disabled(looking.busy)
        }
        .onAppear { looking.test() }
        .onChange(of: chosen) { item in
            if let item { looking.open(item) }
        }
    }
}

/// The model at work, away from the main thread.
final class Looking: ObservableObject {
    @Published private(set) var words = ""
    @Published private(set) var image: CGImage?
    @Published private(set) var busy = false
    private let files = Files()
    private let queue = DispatchQueue(label: "model")
    private var session: Session?  // of the queue

    var hasSample: Bool { files.read("\(Plans.model.file)/0.png") != nil }

    func test() {
        work("testing this device …") { [self] in
            let chosen = try choose(Plans.model, files)
            var words = chosen.words
            var detector: Session?
            if let plan = Plans.detector {
                let found = try choose(plan, files)
                detector = Session(plan: plan, files: files, runner: found.runner)
                words += found.words.map { "detector, \($0)" }
            }
            session = Session(
                plan: Plans.model, files: files, runner: chosen.runner, detector: detector, crop: Plans.crop)
            return (words + (Plans.why.isEmpty ? [] : [Plans.why]), nil)
        }
    }

    func sample() {
        look { [files] in Data(try files.need("\(Plans.model.file)/0.png")) }
    }

    func open(_ item: PhotosPickerItem) {
        item.loadTransferable(type: Data.self) { [weak self] result in
            DispatchQueue.main.async {
                self?.look {
                    guard let data = try result.get() else { throw DeployedError.said("the picture cannot be opened") }
                    return data
                }
            }
        }
    }

    private func look(_ read: @escaping () throws -> Data) {
        work("looking …") { [self] in
            guard let session else { throw DeployedError.said("the model is not loaded: run the self-test") }
            let picture = try opened(read())
            let answers = try session.look(pixels(picture))
            let time = String(format: "%.1f ms", session.milliseconds)
            let lines = answers.isEmpty ? ["nothing found"] : answers.flatMap(\.lines) + [time]
            return (lines, try drawn(picture, answers))
        }
    }

    /// Does something on the queue; what it says, or fails with, is shown.
    private func work(_ doing: String, _ act: @escaping () throws -> ([String], CGImage?)) {
        words = doing
        busy = true
        queue.async { [weak self] in
            let found = Result { try act() }
            DispatchQueue.main.async {
                self?.busy = false
                switch found {
                case .success(let (lines, image)):
                    self?.words = lines.joined(separator: "\n")
                    if let image { self?.image = image }
                case .failure(let error): self?.words = "failed: \(error.localizedDescription)"
                }
            }
        }
    }
}
