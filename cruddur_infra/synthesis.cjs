// CDK's validator of templates is WebAssembly, which runs once per synthesis. V8 would begin to optimize it, and the
// process could not end before that is done: a tenth of the time of `cdk synth`.
require("node:v8").setFlagsFromString("--wasm-tiering-budget=1000000000");
