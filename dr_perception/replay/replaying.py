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

"""The loop: every picture of a recording through the estimator, results into files."""

from __future__ import annotations

from dataclasses import dataclass
import logging
from pathlib import Path

from dr_perception.core.instance_names import InstanceNamer
from dr_perception.core.message_values import NS_PER_S
from dr_perception.core.pipeline import Detection
from dr_perception.core.transforms import rotate_covariance
from dr_perception.inference.estimator import PoseEstimator
from dr_perception.replay.bag import Bag
from dr_perception.replay.errors import BagError, OutputError, TopicError
from dr_perception.replay.frames import Frame, FrameSource, SkippedFrame
from dr_perception.replay.progress import ProgressLine
from dr_perception.replay.records import PoseFiles, PoseRecord
from dr_perception.replay.report import plain_sentences, ReplayFacts, write_reports
from dr_perception.replay.summary import Summary
from dr_perception.replay.topics import choose_topics, Selection
from dr_perception.replay.video import Overlay, VideoFile
import numpy as np

_LOG = logging.getLogger(__name__)
#: Without times to tell it, and at most: pictures a second of the video.
_USUAL_RATE_HZ, _HIGHEST_RATE_HZ = 10.0, 60.0


@dataclass(frozen=True, eq=False)
class ReplayOptions:
    """What is wanted; see docs/replay.md.

    Attributes:
        bag, output, model: paths.
        image_topic, camera_info_topic: names, or None to guess.
        base_frame: frame whose plane z = 0 the objects stand on.
        T_base_camera: (4, 4), or None: from the recording's TF.
        is_rectified: P of the CameraInfo holds, without distortion.
        providers: execution providers in order of preference.
        threads: CPU threads, 0 for one per core.
        start_s: seconds after the start of the recording.
        duration_s: seconds from there, or None for all.
        every: the first of so many pictures is taken.
        has_video: write the video.
        min_score: instances below are left out.
    """

    bag: Path
    output: Path
    model: Path
    image_topic: str | None = None
    camera_info_topic: str | None = None
    base_frame: str = 'base_link'
    T_base_camera: np.ndarray | None = None
    is_rectified: bool = False
    providers: tuple[str, ...] = ('CPUExecutionProvider',)
    threads: int = 0
    start_s: float = 0.0
    duration_s: float | None = None
    every: int = 1
    has_video: bool = True
    min_score: float = 0.0


def replay(options: ReplayOptions) -> Summary:
    """Write poses, video and report of a recording.

    Raises:
        PerceptionError: a recording, topic, model or provider that cannot be used; no picture of
            the recording can be used (the report is written all the same).
    """
    with Bag(options.bag) as bag:
        try:
            topics = choose_topics(bag.topics, options.image_topic, options.camera_info_topic)
        except TopicError as error:  # what is missing may be in the part that cannot be read
            raise TopicError('; '.join([str(error), *bag.notes])) from error
        estimator = PoseEstimator.from_file(options.model, list(options.providers),
                                            options.threads)
        estimator.warm_up()
        _make_folder(options.output)
        run = _Run(options, bag, topics, estimator)
        run.process()
        notes = run.finish()
        facts = ReplayFacts(
            str(options.bag), str(options.model), estimator.model_sha256, topics.image.name,
            topics.camera_info.name, estimator.active_providers[0], notes)
        write_reports(options.output, facts, run.summary, run.pictures)
        for sentence in plain_sentences(facts, run.summary):
            _LOG.info('%s', sentence)
        if not run.summary.used and not run.summary.is_interrupted:
            raise BagError(_why_nothing(options, bag, topics, run.summary))
        return run.summary


class _Run:
    """The state of one replay."""

    def __init__(self, options: ReplayOptions, bag: Bag, topics: Selection,
                 estimator: PoseEstimator) -> None:
        self.summary = Summary()
        self.pictures: list[np.ndarray] = []
        self._options, self._bag, self._topics = options, bag, topics
        self._estimator = estimator
        self._namer = InstanceNamer()
        self._overlay = Overlay(estimator.contract.objects)
        self._video = VideoFile(options.output, _rate_hz(options, bag, topics))
        self._first_ns: int | None = None

    def process(self) -> None:
        """All wanted pictures."""
        options = self._options
        start_ns, stop_ns = _window(options, self._bag)
        source = FrameSource(options.base_frame, options.T_base_camera, options.is_rectified,
                             start_ns, stop_ns, options.every)
        progress = ProgressLine(self._topics.image.count // options.every)
        with PoseFiles(options.output) as files:
            try:
                for frame in source.frames(self._bag, self._topics):
                    if isinstance(frame, SkippedFrame):
                        self.summary.skipped.add(frame.reason)
                    else:
                        self._process_frame(frame, files)
                    progress.step()
            except KeyboardInterrupt:
                self.summary.is_interrupted = True
            finally:
                progress.close()
                self._video.close()

    def finish(self) -> tuple[str, ...]:
        """Return what went wrong, one sentence each."""
        notes = list(self._bag.notes)
        wanted = self._options.providers[0]
        if wanted not in self._estimator.active_providers:
            notes.append(f'{wanted} did not start: the model ran on '
                         f'{self._estimator.active_providers[0]}')
        if self._video.note:
            notes.append(self._video.note)
        if self.summary.is_interrupted:
            notes.append('interrupted: the rest of the recording was not read')
        return tuple(notes)

    def _process_frame(self, frame: Frame, files: PoseFiles) -> None:
        detections = [
            d for d in self._estimator.estimate(frame.image_rgb, frame.camera,
                                                T_base_camera=frame.T_base_camera)
            if d.score >= self._options.min_score]
        timing_ms = {'image': frame.read_ms, **self._estimator.last_timing_ms}
        self.summary.add_frame(timing_ms, frame.problem)
        is_in_base = frame.T_base_camera is not None
        T_out_camera = frame.T_base_camera if is_in_base else np.eye(4)
        frame_id = self._options.base_frame if is_in_base else frame.camera_frame
        names = self._namer.assign(
            [(d.object_name, (T_out_camera @ d.T_camera_object)[:3, 3]) for d in detections],
            frame.stamp_ns / NS_PER_S)
        for detection, name in zip(detections, names):
            record = _record(frame, detection, name, T_out_camera, frame_id)
            files.write(record)
            self.summary.add_record(record)
        self._show(frame, detections, names)

    def _show(self, frame: Frame, detections: list[Detection], names: list[str]) -> None:
        if self._first_ns is None:
            self._first_ns = frame.stamp_ns
        if not self._options.has_video and self.pictures:
            return
        caption = f'{(frame.stamp_ns - self._first_ns) / NS_PER_S:.3f} s'
        picture = self._overlay.draw(frame.image_rgb, frame.camera, detections, names, caption)
        if not self.pictures:
            self.pictures.append(picture)
        if self._options.has_video:
            self._video.write(picture)


def _record(frame: Frame, detection: Detection, name: str, T_out_camera: np.ndarray,
            frame_id: str) -> PoseRecord:
    return PoseRecord(
        frame.stamp_ns, detection.object_name, name, float(detection.score),
        T_out_camera @ detection.T_camera_object,
        rotate_covariance(T_out_camera[:3, :3], detection.covariance), frame_id,
        tuple(detection.out_of_range))


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'{path}: cannot be made ({error.strerror}); give another --output '
                          'folder') from error


def _window(options: ReplayOptions, bag: Bag) -> tuple[int | None, int | None]:
    """Nanoseconds of the recording's clock between which pictures are wanted."""
    if options.start_s == 0 and options.duration_s is None:
        return None, None
    start_ns = bag.start_ns + int(options.start_s * NS_PER_S)
    if options.duration_s is None:
        return start_ns, None
    return start_ns, start_ns + int(options.duration_s * NS_PER_S)


def _rate_hz(options: ReplayOptions, bag: Bag, topics: Selection) -> float:
    """Pictures a second, so that the video takes about as long as the recording."""
    duration_s = (bag.end_ns - bag.start_ns) / NS_PER_S
    if duration_s <= 0 or topics.image.count < 2:
        return _USUAL_RATE_HZ
    rate_hz = topics.image.count / duration_s / options.every
    return float(np.clip(rate_hz, 1.0, _HIGHEST_RATE_HZ))


def _why_nothing(options: ReplayOptions, bag: Bag, topics: Selection, summary: Summary) -> str:
    count = summary.skipped.total()
    if count:
        text, times = summary.skipped.most_common()[0]
        return f'none of {count} pictures can be used; {times} of them: {text}'
    duration_s = (bag.end_ns - bag.start_ns) / NS_PER_S
    end = 'the end'
    if options.duration_s is not None:
        end = f'{options.start_s + options.duration_s:g} s'
    return '; '.join([f'{topics.image.name} has no picture between {options.start_s:g} s and '
                      f'{end} of the recording, which is {duration_s:.1f} s long', *bag.notes])
