// The small vector kernels of a transformer layer, all fp32, any length n > 0, no allocation. A target may be
// the same array as a source, but may not overlap it otherwise. Called by the executor between the matrix
// products.
#pragma once

#include <cstdint>

namespace hybridgen::kernels {

// y[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i]; the mean is summed in fp32.
void rms_norm(const float* x, const float* weight, float* y, std::int64_t n, float eps);

// y[i] = (x[i] - mean) / sqrt(mean((x - mean)^2) + eps) * weight[i] + bias[i]; both means are summed in fp32.
void layer_norm(const float* x, const float* weight, const float* bias, float* y, std::int64_t n, float eps);

// x[i] = max(x[i], 0).
void relu(float* x, std::int64_t n);

// y[i] = silu(gate[i]) * up[i], silu(g) = g / (1 + exp(-g)).
void swiglu(const float* gate, const float* up, float* y, std::int64_t n);

// y[i] = a[i] + b[i].
void add(const float* a, const float* b, float* y, std::int64_t n);

// x[i] *= factor.
void scale(float* x, std::int64_t n, float factor);

// sum of a[i] * b[i].
float dot(const float* a, const float* b, std::int64_t n);

// Index of the largest value, the lowest such index on ties; n > 0, no NaN.
std::int64_t argmax(const float* x, std::int64_t n);

// The largest value; n > 0, no NaN.
float max_of(const float* x, std::int64_t n);

// x[i] = exp(x[i] - shift); returns the sum of the results. Exponents below -87.3 give 0.
float exp_sum(float* x, std::int64_t n, float shift);

// x becomes softmax(x); returns its log-sum-exp.
float softmax(float* x, std::int64_t n);

}  // namespace hybridgen::kernels
