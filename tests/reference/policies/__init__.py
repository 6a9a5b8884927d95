"""The policies by the names of the program's presets."""


def registry():
    from policies.full import Full
    from policies.h2o import H2o
    from policies.hybridgen import HybridGen
    from policies.infinigen import InfiniGen
    from policies.quest import Quest
    from policies.snapkv import SnapKv
    from policies.streaming_llm import StreamingLlm
    from policies.window import Window

    return {
        "full": Full,
        "window": Window,
        "streaming-llm": StreamingLlm,
        "h2o": H2o,
        "snapkv": SnapKv,
        "quest": Quest,
        "infinigen": InfiniGen,
        "hybridgen": HybridGen,
    }
