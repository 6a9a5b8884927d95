#include "formats/sha256.hpp"

#include <openssl/evp.h>

#include <array>

#include "core/base/check.hpp"

namespace hybridgen {

std::string sha256_of_ids(const std::vector<std::int32_t>& ids) {
  std::vector<unsigned char> bytes;
  bytes.reserve(ids.size() * 4);
  for (const std::int32_t id : ids) {
    for (int b = 0; b < 4; ++b)
      bytes.push_back(static_cast<unsigned char>(static_cast<std::uint32_t>(id) >> (8 * b)));
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HG_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1,
           "SHA-256 failed");
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

}  // namespace hybridgen
