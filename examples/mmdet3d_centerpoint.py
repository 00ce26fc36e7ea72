"""CenterPoint of MMDetection3D with its first two groups of classes aligned: a configuration, no program.

    mim train mmdet3d examples/mmdet3d_centerpoint.py

The base configuration trains one head per group of classes. `taps` names a module of each, as in
``model.named_modules()``; any two modules of any detector will do.
"""

_base_ = "mmdet3d::centerpoint/centerpoint_pillar02_second_secfpn_8xb4-cyclic-20e_nus-3d.py"

custom_imports = dict(imports=["nexusflow.adapters.mmengine"])
custom_hooks = [
    dict(
        type="NexusFlowHook",
        # The last layers in front of the regression of centres: maps (B, 64, H, W).
        taps=dict(car="pts_bbox_head.task_heads.0.reg.0", truck="pts_bbox_head.task_heads.1.reg.0"),
        channels=dict(car=64, truck=64),
        weight=0.1,
        dim=256,
    )
]
