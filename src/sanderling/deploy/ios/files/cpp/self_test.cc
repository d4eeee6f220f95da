// The model in C++ with LiteRT's C API: on the GPU through the Metal delegate, on the CPU where there is none.
//
// As a program it runs the stored examples and says whether this device computes right:
//   self_test model.tflite model/
// In an app, link TensorFlowLiteC (and its part Metal) and take `Interpreter` from here.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#if __has_include(<TensorFlowLiteC/TensorFlowLiteC.h>)
#include <TensorFlowLiteC/TensorFlowLiteC.h>
#elif __has_include("tflite/c/c_api.h")
#include "tflite/c/c_api.h"
#else
#include "tensorflow/lite/c/c_api.h"
#endif

#if __has_include(<TensorFlowLiteCMetal/TensorFlowLiteCMetal.h>)
#include <TensorFlowLiteCMetal/TensorFlowLiteCMetal.h>
#define HAS_METAL 1
#elif defined(__APPLE__) && __has_include("tflite/delegates/gpu/metal_delegate.h")
#include "tflite/delegates/gpu/metal_delegate.h"
#define HAS_METAL 1
#else
#define HAS_METAL 0
#endif

#include "plan.h"

namespace {

using Bytes = std::vector<uint8_t>;

// An array as the model stores it.
struct Array {
  std::vector<int> dims;
  Bytes data;
};

// Opens the model once: with the delegate where it is taken, else without. All that it owns goes with it.
class Interpreter {
 public:
  static std::unique_ptr<Interpreter> Open(const char* file, int threads, bool gpu) {
    auto found = std::unique_ptr<Interpreter>(new Interpreter);
    found->model_ = TfLiteModelCreateFromFile(file);
    if (found->model_ == nullptr) return nullptr;
    found->options_ = TfLiteInterpreterOptionsCreate();
    TfLiteInterpreterOptionsSetNumThreads(found->options_, threads);
    if (gpu && !found->AddDelegate()) return nullptr;
    found->interpreter_ = TfLiteInterpreterCreate(found->model_, found->options_);
    if (found->interpreter_ == nullptr) return nullptr;
    if (TfLiteInterpreterAllocateTensors(found->interpreter_) != kTfLiteOk) return nullptr;
    return found;
  }

  // The GPU where it takes the model, else the CPU; `on_gpu` says which.
  static std::unique_ptr<Interpreter> OpenBest(const char* file, int threads) {
    auto found = Open(file, threads, true);
    return found != nullptr ? std::move(found) : Open(file, threads, false);
  }

  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // The delegate must outlive the interpreter.
  ~Interpreter() {
    if (interpreter_ != nullptr) TfLiteInterpreterDelete(interpreter_);
    if (options_ != nullptr) TfLiteInterpreterOptionsDelete(options_);
    if (model_ != nullptr) TfLiteModelDelete(model_);
#if HAS_METAL
    if (delegate_ != nullptr) TFLGpuDelegateDelete(delegate_);
#endif
  }

  bool on_gpu() const { return delegate_ != nullptr; }

  bool Run(const std::vector<Array>& inputs, std::vector<Array>* outputs) {
    if (static_cast<int>(inputs.size()) != TfLiteInterpreterGetInputTensorCount(interpreter_)) return false;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto& dims = inputs[i].dims;
      const int rank = static_cast<int>(dims.size());
      if (TfLiteInterpreterResizeInputTensor(interpreter_, static_cast<int>(i), dims.data(), rank) != kTfLiteOk)
        return false;
    }
    if (TfLiteInterpreterAllocateTensors(interpreter_) != kTfLiteOk) return false;
    for (size_t i = 0; i < inputs.size(); ++i) {
      TfLiteTensor* tensor = TfLiteInterpreterGetInputTensor(interpreter_, static_cast<int>(i));
      const Bytes& data = inputs[i].data;
      if (TfLiteTensorCopyFromBuffer(tensor, data.data(), data.size()) != kTfLiteOk) return false;
    }
    if (TfLiteInterpreterInvoke(interpreter_) != kTfLiteOk) return false;
    outputs->clear();
    for (int i = 0; i < TfLiteInterpreterGetOutputTensorCount(interpreter_); ++i) {
      const TfLiteTensor* tensor = TfLiteInterpreterGetOutputTensor(interpreter_, i);
      Array found;
      for (int axis = 0; axis < TfLiteTensorNumDims(tensor); ++axis)
        found.dims.push_back(TfLiteTensorDim(tensor, axis));
      found.data.resize(TfLiteTensorByteSize(tensor));
      if (TfLiteTensorCopyToBuffer(tensor, found.data.data(), found.data.size()) != kTfLiteOk) return false;
      outputs->push_back(std::move(found));
    }
    return true;
  }

 private:
  Interpreter() = default;

  bool AddDelegate() {
#if HAS_METAL
    TFLGpuDelegateOptions options = TFLGpuDelegateOptionsDefault();
    options.allow_precision_loss = true;  // arithmetic in 16 bits
    delegate_ = TFLGpuDelegateCreate(&options);
    if (delegate_ == nullptr) return false;
    TfLiteInterpreterOptionsAddDelegate(options_, delegate_);
    return true;
#else
    return false;
#endif
  }

  TfLiteModel* model_ = nullptr;
  TfLiteInterpreterOptions* options_ = nullptr;
  TfLiteDelegate* delegate_ = nullptr;
  TfLiteInterpreter* interpreter_ = nullptr;
};

template <typename T>
double As(const uint8_t* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return static_cast<double>(value);
}

double At(const Array& array, plan::Type type, size_t index) {
  const uint8_t* data = array.data.data() + index * plan::Bytes(type);
  switch (type) {
    case plan::Type::kFloat32: return As<float>(data);
    case plan::Type::kInt8: return As<int8_t>(data);
    case plan::Type::kInt16: return As<int16_t>(data);
    case plan::Type::kInt32: return As<int32_t>(data);
    case plan::Type::kInt64: return As<int64_t>(data);
    case plan::Type::kUint8:
    case plan::Type::kBool: return As<uint8_t>(data);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

// In steps for integers, as a share of the largest right value for floats; infinity where something else came.
double Difference(const Array& mine, const Array& wanted, plan::Type type) {
  const double never = std::numeric_limits<double>::infinity();
  if (mine.dims != wanted.dims || mine.data.size() != wanted.data.size()) return never;
  double off = 0, largest = 0;
  for (size_t i = 0; i < wanted.data.size() / plan::Bytes(type); ++i) {
    const double a = At(mine, type, i), b = At(wanted, type, i);
    if (std::isfinite(a) && std::isfinite(b)) {
      off = std::max(off, std::abs(a - b));
      largest = std::max(largest, std::abs(b));
    } else if (a != b && !(std::isnan(a) && std::isnan(b))) {
      return never;
    }
  }
  if (type != plan::Type::kFloat32 || off == 0) return off;
  return largest > 0 ? off / largest : never;
}

// A stored array: the number of axes, their sizes (32-bit integers), the elements.
bool Read(const std::string& file, Array* found) {
  std::ifstream stream(file, std::ios::binary);
  int32_t rank = 0;
  if (!stream.read(reinterpret_cast<char*>(&rank), 4) || rank < 0 || rank > 8) return false;
  std::vector<int32_t> dims(rank);
  if (rank > 0 && !stream.read(reinterpret_cast<char*>(dims.data()), 4 * rank)) return false;
  found->dims.assign(dims.begin(), dims.end());
  found->data.assign(std::istreambuf_iterator<char>(stream), {});
  return true;
}

bool ReadAll(const std::string& folder, int example, const char* side, size_t count, std::vector<Array>* found) {
  found->resize(count);
  for (size_t i = 0; i < count; ++i) {
    const std::string name = std::to_string(example) + "_" + side + "_" + std::to_string(i) + ".bin";
    if (!Read(folder + "/" + name, &(*found)[i])) return false;
  }
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: %s model.tflite FOLDER_OF_EXAMPLES\n", arguments[0]);
    return 2;
  }
  const size_t outputs = std::size(plan::kOutputs);
  double worst = 0;
  size_t where = 0;
  bool gpu = false;
  for (int example = 0; example < plan::kExamples; ++example) {
    auto interpreter = Interpreter::OpenBest(arguments[1], plan::kThreads);  // anew: it may remember the last one
    std::vector<Array> inputs, wanted, found;
    if (interpreter == nullptr || !ReadAll(arguments[2], example, "in", plan::kInputs, &inputs) ||
        !ReadAll(arguments[2], example, "out", outputs, &wanted) || !interpreter->Run(inputs, &found) ||
        found.size() != outputs) {
      std::fprintf(stderr, "example %d cannot be run\n", example);
      return 1;
    }
    gpu = interpreter->on_gpu();
    for (size_t i = 0; i < outputs; ++i) {
      const plan::Output& output = plan::kOutputs[i];
      const double allowed = gpu ? output.gpu_tolerance : output.tolerance;
      const double off = Difference(found[i], wanted[i], output.type) / allowed;
      if (off > worst) {
        worst = off;
        where = i;
      }
    }
  }
  const char* device = gpu ? "GPU" : "CPU";
  if (worst > 1) {
    std::printf("%s: wrong on this device: output %zu is off by %.3g times what is allowed\n", device, where, worst);
    return 1;
  }
  std::printf("%s: correct on this device: %d examples, the largest difference is %.0f %% of what is allowed\n",
              device, plan::kExamples, 100 * worst);
  return 0;
}
