# Copyright 2026 dr_perception maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Running a session with its input and outputs bound to a device."""

from __future__ import annotations

from collections import OrderedDict
import threading

from dr_perception.core.contract import INPUT_NAME, OUTPUT_NAMES
import numpy as np
import onnxruntime

#: Picture sizes whose buffers are kept; a camera has one, and a second for its last batch.
MAX_SIZES = 4


class BoundSession:
    """Pictures go into one buffer on the device for each size, instead of a new one each time.

    The outputs are computed on the device and copied once, together. Thread-safe; one picture
    after the other.

    Args:
        session: an ONNX Runtime session.
        device: 'cuda', or 'cpu' (works, and gains nothing).
    """

    def __init__(self, session: onnxruntime.InferenceSession, device: str) -> None:
        self._session, self._device = session, device
        self._buffers: OrderedDict[tuple[int, ...], onnxruntime.OrtValue] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, image_rgb: np.ndarray) -> dict[str, np.ndarray]:
        """Return outputs by name, float32 (N, channels, h, w), of (N, H, W, C) uint8 pictures."""
        image_rgb = np.ascontiguousarray(image_rgb)
        with self._lock:
            # A binding of its own for each run: outputs have another size with every picture's.
            binding = self._session.io_binding()
            binding.bind_ortvalue_input(INPUT_NAME, self._on_device(image_rgb))
            for name in OUTPUT_NAMES:
                binding.bind_output(name, self._device)
            self._session.run_with_iobinding(binding)
            return dict(zip(OUTPUT_NAMES, binding.copy_outputs_to_cpu()))

    def _on_device(self, image_rgb: np.ndarray) -> onnxruntime.OrtValue:
        buffer = self._buffers.get(image_rgb.shape)
        if buffer is None:
            while len(self._buffers) >= MAX_SIZES:
                self._buffers.popitem(last=False)
            buffer = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
                list(image_rgb.shape), np.uint8, self._device, 0)
            self._buffers[image_rgb.shape] = buffer
        self._buffers.move_to_end(image_rgb.shape)
        buffer.update_inplace(image_rgb)
        return buffer
