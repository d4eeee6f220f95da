import SwiftUI

@main
struct DeployedApp: App {
    var body: some Scene {
        WindowGroup { ContentView() }
    }
}
