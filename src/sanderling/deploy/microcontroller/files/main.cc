// Runs the stored examples and compares every answer with the stored one, bit for bit.
//
// The way to use the model is the same: make the interpreter once, write into input(i), Invoke(), read
// output(i). model.h has the scales and zero points of inputs and outputs.

#include <cstdint>
#include <cstring>

#include "examples.h"
#include "model.h"
#include "operators.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(16) std::uint8_t arena[model::kArenaBytes];

// An interpreter for one example: a model that keeps state begins each with its first state.
int RunExample(const model::Operators& operators, int number) {
  tflite::MicroAllocator* allocator = tflite::MicroAllocator::Create(arena, sizeof(arena));
  tflite::MicroResourceVariables* variables = nullptr;
  if constexpr (model::kVariables > 0) {
    variables = tflite::MicroResourceVariables::Create(allocator, model::kVariables);
  }
  tflite::MicroInterpreter interpreter(tflite::GetModel(model::kModel), operators, allocator, variables);
  if (interpreter.AllocateTensors() != kTfLiteOk) {
    MicroPrintf("the tensors do not fit into %d bytes", static_cast<int>(sizeof(arena)));
    return 1;
  }
  if (number == 0) {
    MicroPrintf("arena: %d of %d bytes are used", static_cast<int>(interpreter.arena_used_bytes()),
                static_cast<int>(sizeof(arena)));
  }
  for (int i = 0; i < model::kInputCount; ++i) {
    TfLiteTensor* input = interpreter.input(i);
    if (input->bytes != model::kInputs[i].bytes) {
      MicroPrintf("input %d takes %d bytes", i, static_cast<int>(input->bytes));
      return 1;
    }
    std::memcpy(input->data.raw, examples::kGiven[number][i], input->bytes);
  }
  if (interpreter.Invoke() != kTfLiteOk) {
    MicroPrintf("example %d: Invoke() failed", number);
    return 1;
  }
  int wrong = 0;
  for (int i = 0; i < model::kOutputCount; ++i) {
    const TfLiteTensor* output = interpreter.output(i);
    if (output->bytes != model::kOutputs[i].bytes) {
      MicroPrintf("output %d gives %d bytes", i, static_cast<int>(output->bytes));
      return 1;
    }
    const auto* right = static_cast<const unsigned char*>(examples::kAnswers[number][i]);
    const auto* mine = reinterpret_cast<const unsigned char*>(output->data.raw);
    for (std::size_t byte = 0; byte < output->bytes; ++byte) {
      if (mine[byte] != right[byte]) ++wrong;
    }
  }
  if (wrong != 0) MicroPrintf("example %d: %d bytes of its answer are wrong", number, wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main() {
  tflite::InitializeTarget();
  if (tflite::GetModel(model::kModel)->version() != TFLITE_SCHEMA_VERSION) {
    MicroPrintf("the model has another schema than this TFLite Micro");
    return 1;
  }
  static model::Operators operators;
  if (model::AddOperators(operators) != kTfLiteOk) {
    MicroPrintf("an operator cannot be registered");
    return 1;
  }
  int failed = 0;
  for (int number = 0; number < examples::kCount; ++number) failed += RunExample(operators, number);
  MicroPrintf("self-test: %d of %d examples are right", examples::kCount - failed, examples::kCount);
  return failed == 0 ? 0 : 1;
}
