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

"""Which unit a mesh file's numbers are in: the format does not say, the object's size does."""

from __future__ import annotations

from dataclasses import dataclass

from sim_trainer.configuration.objects import UNITS_M
from sim_trainer.errors import ConfigurationError

#: What an arm picks from a table, metres; and what it nearly always is.
OBJECT_M, TYPICAL_M = (0.01, 1.0), (0.02, 0.4)
_NAMES = {'m': 'metres', 'cm': 'centimetres', 'mm': 'millimetres', 'in': 'inches'}
#: How common a unit is in mesh files: CAD writes mm; inches are what is left over.
_COMMON = ('mm', 'm', 'cm', 'in')


@dataclass(frozen=True)
class UnitGuess:
    """The unit that fits best, how sure that is, and why."""

    unit: str
    sureness: str
    reason: str
    #: all units that make an object of it that an arm can pick
    fitting: tuple[str, ...]

    def allows(self, unit: str) -> bool:
        """Whether nothing speaks against a unit: an inch makes as good an object as a cm."""
        return unit == self.unit or unit == 'in' and unit in self.fitting


def guess_unit(largest: float, suffix: str = '') -> UnitGuess:
    """Return the unit of a mesh whose largest extent is a number.

    Args:
        largest: extent in the file's unit.
        suffix: of the file; glTF and URDF are defined in metres.

    Raises:
        ConfigurationError: no unit makes a size that an arm could pick.
    """
    fitting = [unit for unit in _COMMON if OBJECT_M[0] <= largest * UNITS_M[unit] <= OBJECT_M[1]]
    if not fitting:
        sizes = ', '.join(f'{largest * UNITS_M[unit]:.3g} m if in {_NAMES[unit]}'
                          for unit in _COMMON)
        raise ConfigurationError(f'the largest extent is {largest:.4g}: {sizes}; none is an '
                                 'object for an arm (1 cm ... 1 m); scale the mesh to its true '
                                 'size, or give the unit with --unit')
    typical = [unit for unit in fitting
               if TYPICAL_M[0] <= largest * UNITS_M[unit] <= TYPICAL_M[1]]
    if suffix.lower() == '.urdf':
        return UnitGuess('m', 'sure', f'URDF files are in metres; {_size(largest, "m")}', ('m',))
    if suffix.lower() == '.glb' and 'm' in fitting:
        sure = 'sure' if fitting == ['m'] else 'likely'
        return UnitGuess('m', sure, f'glTF files are in metres; {_size(largest, "m")}'
                         + _others(largest, fitting, 'm'), tuple(fitting))
    metric = [other for other in fitting if other != 'in']
    unit = next((u for u in metric if u in typical), (metric or fitting)[0])
    sure = ('sure' if fitting == [unit] else 'likely' if metric == [unit] or [
        u for u in typical if u != 'in'] == [unit] else 'not sure')
    return UnitGuess(unit, sure, f'an object for an arm has 1 cm ... 1 m; {_size(largest, unit)}'
                     + _others(largest, fitting, unit), tuple(fitting))


def _size(largest: float, unit: str) -> str:
    return f'{largest:.4g} {_NAMES[unit]} are {100 * largest * UNITS_M[unit]:.3g} cm'


def _others(largest: float, fitting: list[str], unit: str) -> str:
    rest = [f'{_size(largest, other)} (--unit {other})' for other in fitting if other != unit]
    return f'; but {", ".join(rest)} would do as well' if rest else ''
