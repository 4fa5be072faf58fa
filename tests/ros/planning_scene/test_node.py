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

"""The node on a real graph: what the planner hears, and what `~/apply` answers."""
import dataclasses
import time

import numpy as np
import pytest

pytest.importorskip('moveit_msgs', reason='needs MoveIt messages')

from dr_perception.core.transforms import invert_transform, look_at  # noqa: E402, I100
from dr_perception.ros.conversions import pose_to_matrix, transform_stamped  # noqa: E402
from dr_perception.ros.parameters import ParameterError  # noqa: E402
from moveit_msgs.msg import AttachedCollisionObject, CollisionObject, PlanningScene  # noqa: E402
from moveit_msgs.srv import ApplyPlanningScene  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

ADD, MOVE, REMOVE = CollisionObject.ADD, CollisionObject.MOVE, CollisionObject.REMOVE


def said(messages):
    """Return (operation, id) of collision objects."""
    return [(message.operation, message.id) for message in messages]


def cube(cell, x=0.5, name='cube_0', **options):
    """Return a detected cube."""
    return name, 'cube', cell.upright(x, **options)


def test_add_once_then_move_without_geometry_then_remove(cell):
    objects = cell.listen()
    cell.start(remove_after_s=1.0)
    cell.show(cube(cell), count=4)
    added, = cell.wait_for_objects(1)
    assert (added.operation, added.id, added.type.key) == (ADD, 'cube_0', 'cube')
    assert added.header.frame_id == 'base_link'
    assert (added.header.stamp.sec, added.header.stamp.nanosec) == (100, 200_000_000)
    assert np.allclose(pose_to_matrix(added.pose), cell.upright(0.5))
    assert list(added.primitives[0].dimensions) == pytest.approx([0.05] * 3)
    cell.show(cube(cell, 0.502))                # less than min_displacement_m
    cell.show(cube(cell, 0.52))
    moved = cell.wait_for_objects(2)[1]
    assert moved.operation == MOVE
    assert not moved.primitives and not moved.meshes and not moved.subframe_names
    assert np.allclose(pose_to_matrix(moved.pose), cell.upright(0.52))
    cell.show(step_s=0.6, count=2)
    cell.wait_for_objects(3)
    assert said(objects) == [(ADD, 'cube_0'), (MOVE, 'cube_0'), (REMOVE, 'cube_0')]


def test_an_object_that_is_no_primitive_comes_as_its_mesh(cell):
    cell.listen()
    cell.start()
    cell.show(('tetrahedron_0', 'tetrahedron', cell.upright(0.5)), count=2)
    added, = cell.wait_for_objects(1)
    assert (len(added.meshes[0].vertices), len(added.meshes[0].triangles)) == (4, 4)


def test_subframes_of_the_model_reach_the_planner(cell, tmp_path, catalogue):
    onnx = pytest.importorskip('onnx', reason='needs onnx: pip install .[train]')
    from dr_perception.core.contract import METADATA_KEY
    from dr_perception.core.contract_file import read_contract
    from dr_perception.core.resources import find_resource
    from dr_perception.ros.model_loading import DEFAULT_MODEL
    contract = read_contract(find_resource(DEFAULT_MODEL))
    grasp = cell.upright(0.0, 0.0, 0.03)
    contract = dataclasses.replace(contract, objects=tuple(
        dataclasses.replace(model, subframes={'grasp_top': grasp})
        for model in contract.objects))
    model = onnx.helper.make_model(onnx.helper.make_graph([], 'empty', [], []))
    onnx.helper.set_model_props(model, {METADATA_KEY: contract.to_json()})
    onnx.save(model, str(tmp_path / 'grasps.onnx'))
    cell.listen()
    cell.start(model=str(tmp_path / 'grasps.onnx'))
    cell.show(cube(cell), count=2)
    added, = cell.wait_for_objects(1)
    assert added.subframe_names == ['grasp_top']
    assert np.allclose(pose_to_matrix(added.subframe_poses[0]), grasp)


def test_diffs_of_the_planning_scene_instead(cell):
    scenes = cell.listen('planning_scene')
    cell.start(output='planning_scene')
    cell.show(cube(cell), cube(cell, 0.6, 'cube_1'), count=2)
    scene, = cell.wait_for_objects(1)
    assert scene.is_diff and scene.robot_state.is_diff
    assert said(scene.world.collision_objects) == [(ADD, 'cube_0'), (ADD, 'cube_1')]
    cell.show(cube(cell), cube(cell, 0.7, 'cube_1'))
    cell.wait_for_objects(2)
    assert said(scenes[1].world.collision_objects) == [(MOVE, 'cube_1')]


def test_a_planner_that_comes_later_is_told_everything(cell):
    cell.start(is_heard=False)
    cell.show(cube(cell), count=3)
    cell.show(cube(cell, 0.6))
    cell.listen()
    added, = cell.wait_for_objects(1)
    assert said([added]) == [(ADD, 'cube_0')]
    assert np.allclose(pose_to_matrix(added.pose), cell.upright(0.6))
    cell.show(cube(cell, 0.7))
    assert said(cell.wait_for_objects(2)) == [(ADD, 'cube_0'), (MOVE, 'cube_0')]


def test_detections_in_the_cameras_frame_go_through_tf(cell):
    T_base_camera = look_at((1.1, 0.0, 0.65), (0.5, 0.0, 0.0))
    cell.listen()
    cell.start()
    found = ('cube_0', 'cube', invert_transform(T_base_camera) @ cell.upright(0.5, 0.1))
    # Without TF the detections are of no use, and nothing breaks.
    cell.detector.publish(cell.detections([found], 50.0, 'camera'))
    static = cell.graph.publisher(TFMessage, '/tf_static', qos=QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    static.publish(TFMessage(transforms=[
        transform_stamped(Header(frame_id='base_link'), 'camera', T_base_camera)]))
    cell.until(lambda: 'camera' in cell.node._transforms.frames())
    cell.show(found, frame_id='camera', count=2)
    added, = cell.wait_for_objects(1)
    assert added.header.frame_id == 'base_link'
    assert np.allclose(pose_to_matrix(added.pose), cell.upright(0.5, 0.1), atol=1e-9)


def test_an_empty_planning_frame_is_that_of_the_detections(cell):
    cell.listen()
    cell.start(planning_frame='')
    cell.show(cube(cell), frame_id='camera', count=2)
    assert cell.wait_for_objects(1)[0].header.frame_id == 'camera'


def test_detections_below_min_score_are_not_used(cell):
    cell.listen()
    cell.start(min_score=0.5)
    cell.show((*cube(cell), 0.4), (*cube(cell, 0.6, 'cube_1'), 0.6), count=3)
    assert said(cell.wait_for_objects(1)) == [(ADD, 'cube_1')]


def test_objects_that_the_model_does_not_know_are_left_out(cell):
    cell.listen()
    cell.start()
    cell.show(('mug_0', 'mug', cell.upright(0.5)), cube(cell, 0.6), count=3)
    assert said(cell.wait_for_objects(1)) == [(ADD, 'cube_0')]


@pytest.fixture
def holding(cell):
    """Return a cell whose robot's planner knows cube_0, and publishers of what is attached."""
    cell.listen()
    cell.start(remove_after_s=1.0)
    cell.show(cube(cell), count=2)
    cell.wait_for_objects(1)
    cell.attached = cell.graph.publisher(AttachedCollisionObject, 'attached_collision_object')
    cell.monitored = cell.graph.publisher(PlanningScene, 'monitored_planning_scene')
    return cell


def attached(name, operation=ADD, link='hand'):
    """Return an AttachedCollisionObject."""
    return AttachedCollisionObject(
        link_name=link, object=CollisionObject(id=name, operation=operation))


def is_attached(cell, name='cube_0'):
    """Tell what the node believes."""
    return name in cell.node._tracker.attached


@pytest.mark.parametrize('let_go', [attached('cube_0', REMOVE), attached('', REMOVE)],
                         ids=['the object', 'the link'])
def test_an_attached_object_is_left_alone_until_it_is_detached(holding, let_go):
    holding.attached.publish(attached('cube_0'))
    holding.until(lambda: is_attached(holding))
    holding.show(cube(holding, 0.7))
    holding.show(step_s=5.0, count=3)
    holding.wait_for_objects(1)
    holding.attached.publish(let_go)
    holding.until(lambda: not is_attached(holding))
    holding.show(cube(holding, 0.5))
    assert said(holding.wait_for_objects(2))[1:] == [(MOVE, 'cube_0')]


def test_what_moveit_says_is_attached_counts_too(holding):
    scene = PlanningScene()
    scene.robot_state.attached_collision_objects = [attached('cube_0')]
    holding.monitored.publish(scene)
    holding.until(lambda: is_attached(holding))
    holding.monitored.publish(PlanningScene())
    holding.until(lambda: not is_attached(holding))
    # As a diff, and back by the object's appearance in the world.
    diff = PlanningScene(is_diff=True)
    diff.robot_state.attached_collision_objects = [attached('cube_0')]
    holding.monitored.publish(diff)
    holding.until(lambda: is_attached(holding))
    diff = PlanningScene(is_diff=True)
    diff.world.collision_objects = [CollisionObject(id='cube_0', operation=REMOVE)]
    holding.monitored.publish(diff)
    time.sleep(0.3)
    assert is_attached(holding)
    diff.world.collision_objects = [CollisionObject(id='cube_0', operation=ADD)]
    holding.monitored.publish(diff)
    holding.until(lambda: not is_attached(holding))


def test_closing_removes_what_was_added_and_nothing_else(holding):
    holding.show(cube(holding), cube(holding, 0.7, 'cube_1'), cube(holding, 0.3, 'cube_2'),
                 count=2)
    holding.show(cube(holding), cube(holding, 0.7, 'cube_1'), cube(holding, 0.3, 'cube_2'),
                 cube(holding, 0.9, 'cube_3'))      # seen once, not added
    holding.wait_for_objects(3)
    holding.attached.publish(attached('cube_1'))
    holding.until(lambda: is_attached(holding, 'cube_1'))
    holding.node.close()
    assert said(holding.wait_for_objects(5))[3:] == [(REMOVE, 'cube_0'), (REMOVE, 'cube_2')]


def test_closing_leaves_everything_where_that_is_wanted(cell):
    cell.listen()
    cell.start(remove_on_exit=False)
    cell.show(cube(cell), count=2)
    cell.wait_for_objects(1)
    cell.node.close()
    cell.wait_for_objects(1)


def test_a_dry_run_publishes_nothing_until_it_is_over(cell):
    cell.listen()
    cell.start(dry_run=True)
    cell.show(cube(cell), count=3)
    answer = cell.call()
    assert (answer.success, answer.message) == (False, 'dry run: would apply 1 objects')
    cell.wait_for_objects(0)
    assert cell.node.set_parameters([Parameter('dry_run', value=False)])[0].successful
    assert said(cell.wait_for_objects(1)) == [(ADD, 'cube_0')]


def test_what_went_in_a_dry_run_is_removed_when_it_is_over(cell):
    cell.listen()
    cell.start(remove_after_s=1.0)
    cell.show(cube(cell), ('cone_0', 'cone', cell.upright(0.6)), count=2)
    assert said(cell.wait_for_objects(2)) == [(ADD, 'cube_0'), (ADD, 'cone_0')]
    assert cell.node.set_parameters([Parameter('dry_run', value=True)])[0].successful
    cell.show(cube(cell), step_s=2.0, count=2)
    assert cell.node.set_parameters([Parameter('dry_run', value=False)])[0].successful
    assert said(cell.wait_for_objects(4))[2:] == [(REMOVE, 'cone_0'), (ADD, 'cube_0')]


def test_whoever_comes_beside_another_listener_is_told_everything(cell):
    cell.listen()           # a recorder, or a killed planner that the graph still knows
    cell.start()
    cell.show(cube(cell), count=2)
    cell.wait_for_objects(1)
    for _ in range(2):      # a planner, and the one that takes its place
        planner = cell.graph.listen(CollisionObject, 'collision_object', 100)
        assert said(planner.wait(1)) == [(ADD, 'cube_0')]
        assert planner.messages[0].primitives
        cell.graph.client.destroy_subscription(list(cell.graph.client.subscriptions)[-1])


class FakeMoveIt:
    """The service apply_planning_scene, and what it was given."""

    def __init__(self, graph, success=True):
        """Offer the service."""
        self.scenes, self._success = [], success
        self.service = graph.client.create_service(
            ApplyPlanningScene, 'apply_planning_scene', self._answer)

    def _answer(self, request, response):
        self.scenes.append(request.scene)
        response.success = self._success
        return response


def wait_for_service(cell):
    """Wait until the node has found the service."""
    cell.until(cell.node._output._client.service_is_ready)


def test_apply_sends_the_scene_as_a_diff(cell):
    cell.start(is_heard=False)
    moveit = FakeMoveIt(cell.graph)
    cell.show(cube(cell), ('cone_0', 'cone', cell.upright(0.6)), count=2)
    wait_for_service(cell)
    answer = cell.call()
    assert answer.success
    assert answer.message.endswith('/apply_planning_scene took cube_0, cone_0')
    scene, = moveit.scenes
    assert scene.is_diff and scene.robot_state.is_diff
    assert said(scene.world.collision_objects) == [(ADD, 'cube_0'), (ADD, 'cone_0')]
    assert all(item.primitives for item in scene.world.collision_objects)


def test_apply_says_that_the_scene_was_refused(cell):
    cell.start(is_heard=False)
    FakeMoveIt(cell.graph, success=False)
    wait_for_service(cell)
    answer = cell.call()
    assert not answer.success
    assert 'refused the scene' in answer.message


def test_apply_without_moveit_says_so(cell):
    cell.start(is_heard=False)
    answer = cell.call()
    assert not answer.success
    assert 'nobody offers' in answer.message
    assert 'is move_group running' in answer.message


def test_apply_does_not_wait_for_ever(cell):
    cell.start(is_heard=False, apply_timeout_s=0.5)
    from rclpy.callback_groups import ReentrantCallbackGroup
    from rclpy.task import Future

    async def never(request, response):
        await Future()

    cell.graph.client.create_service(ApplyPlanningScene, 'apply_planning_scene', never,
                                     callback_group=ReentrantCallbackGroup())
    wait_for_service(cell)
    answer = cell.call()
    assert not answer.success
    assert answer.message.endswith('did not answer within 0.5 s (apply_timeout_s)')


def test_every_parameter_is_described(cell):
    from dr_perception.ros.planning_scene.parameters import SPECS
    node = cell.start(is_heard=False)
    for descriptor in node.describe_parameters([spec.name for spec in SPECS]):
        assert len(descriptor.description) > 20
    for spec in SPECS:
        assert (spec.low is None) == isinstance(spec.default, (bool, str))


def test_the_documentation_has_every_parameter_with_default_and_range(repository_root):
    from dr_perception.ros.planning_scene.parameters import SPECS
    lines = (repository_root / 'docs' / 'integration.md').read_text(encoding='utf-8').splitlines()
    rows = {cells[1].strip(' `'): [cell.strip(' `') for cell in cells[2:4]] for cells in (
        line.split('|') for line in lines) if len(cells) == 6}
    for spec in SPECS:
        default, span = rows[spec.name]
        is_switch = isinstance(spec.default, bool)
        wanted = str(spec.default).lower() if is_switch else str(spec.default)
        assert default.strip("'") == wanted, spec.name
        if spec.low is not None:
            assert span == f'{spec.low:g} … {spec.high:g}', spec.name


@pytest.mark.parametrize('values, message', [
    ({'output': 'world'}, "output: got 'world'; expected one of collision_object"),
    ({'add_after_hits': 0}, 'add_after_hits'),
    ({'min_score': 'high'}, 'min_score')])
def test_a_wrong_parameter_is_named(cell, values, message):
    with pytest.raises(ParameterError, match=message):
        cell.start(is_heard=False, **values)


def test_rules_change_at_run_time(cell):
    cell.listen()
    node = cell.start(add_after_hits=100)
    cell.show(cube(cell), count=3)
    assert node.set_parameters([Parameter('add_after_hits', value=1)])[0].successful
    assert not node.set_parameters([Parameter('min_score', value=2.0)])[0].successful
    assert not node.set_parameters([Parameter('output', value='planning_scene')])[0].successful
    cell.show(cube(cell))
    assert said(cell.wait_for_objects(1)) == [(ADD, 'cube_0')]
