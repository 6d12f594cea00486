"""What the DAG files share, under a name that no other project in the same Airflow has."""
