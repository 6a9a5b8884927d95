// SHA-256 (OpenSSL's), to name contents in results.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hybridgen {

// Of the ids as little-endian int32, in hexadecimal.
std::string sha256_of_ids(const std::vector<std::int32_t>& ids);

}  // namespace hybridgen
