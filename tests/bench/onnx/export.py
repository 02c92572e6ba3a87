"""The models of the bench in the ONNX files that transformers.js loads.

    export.py GGUF MINILM OUT

GGUF is the SmolLM2 file the others read: its weights are dequantised, so that all run the same model. MINILM is the folder
of all-MiniLM-L6-v2. Quantised as scripts/quantize.py of transformers.js does: `model_quantized` is dynamic 8-bit, by channel
and of reduced range; `model_q4` has 4-bit weights in symmetric blocks of 32.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from optimum.exporters.onnx import main_export

CHECKPOINT = Path(__file__).parents[2] / "reference/checkpoint.py"


def lay_out(exported, folder):
    (folder / "onnx").mkdir(parents=True)
    for file in exported.iterdir():
        if file.suffix in (".json", ".txt", ".jinja"):
            shutil.copy(file, folder)
    shutil.copy(exported / "model.onnx", folder / "onnx")
    model = folder / "onnx/model.onnx"
    quantize_dynamic(
        model,
        folder / "onnx/model_quantized.onnx",
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        extra_options={"EnableSubgraph": True},
    )
    return model


def main(gguf, minilm, out):
    out = Path(out)
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        main_export(minilm, work / "minilm", task="feature-extraction", opset=17)
        lay_out(work / "minilm", out / "minilm")
        subprocess.run([sys.executable, CHECKPOINT, gguf, work / "checkpoint"], check=True)
        main_export(str(work / "checkpoint"), work / "smollm2", task="text-generation-with-past", opset=18)
        model = lay_out(work / "smollm2", out / "smollm2")
        quantizer = MatMulNBitsQuantizer(onnx.load(model), bits=4, block_size=32, is_symmetric=True)
        quantizer.process()
        onnx.save(quantizer.model.model, model.with_name("model_q4.onnx"))
    print(json.dumps({str(file.relative_to(out)): file.stat().st_size for file in sorted(out.rglob("*.onnx"))}))


main(*sys.argv[1:])
