"""Code that the DAG files share, under a package name that no other project in the same Airflow uses."""
