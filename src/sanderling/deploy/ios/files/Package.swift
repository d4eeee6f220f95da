// swift-tools-version: 5.9
import PackageDescription

// The model, what it needs around it, and its self-test: `swift test` runs that on a Mac.
let package = Package(
    name: "Deployed",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Deployed", targets: ["Deployed"])],
    dependencies: [.package(url: "https://github.com/google-ai-edge/LiteRT", branch: "release/2.3.0")],
    targets: [
        .target(
            name: "Deployed",
            dependencies: [
                .product(name: "LiteRT", package: "LiteRT"),
                .product(name: "LiteRtMetalAccelerator", package: "LiteRT"),
            ],
            resources: [.copy("Assets")]
        ),
        .testTarget(name: "DeployedTests", dependencies: ["Deployed"]),
    ]
)
